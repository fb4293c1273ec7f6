"""The observer: lives in the user's process, needs the standard library and the user's torch, only writes records.

Nothing in this package imports anything of ours outside it: the launcher loads it by path into interpreters
that do not have sgdoctor installed.
"""
