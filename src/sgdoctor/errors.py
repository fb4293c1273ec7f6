"""The errors a caller can meet, one tree.

    SgdoctorError
    ├── ScriptError     the script cannot be started: missing, not Python, an interpreter that is not there
    ├── RecordError     a record cannot be found, read or written
    ├── TrialError      a script cannot be run again: no server to fork from, no engine of that name
    └── UsageError      a condition that does not exist, options that contradict each other

Each message says what happened, where, and what to do.
"""


class SgdoctorError(Exception):
    """Base of every error that sgdoctor raises on purpose."""


class ScriptError(SgdoctorError):
    """The script cannot be started."""


class RecordError(SgdoctorError):
    """A record cannot be found, read or written."""


class TrialError(SgdoctorError):
    """A script cannot be run again."""


class UsageError(SgdoctorError):
    """What was asked for makes no sense."""
