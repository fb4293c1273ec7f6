"""What a trial writes goes to a scratch folder; what it reads is read where it is, or from there once written.

Three fences, one behind the other: Python's own functions on files are redirected; an audit hook refuses a write that
got past them; and where the kernel knows Landlock (Linux 5.13), it refuses what compiled code would write.
"""

from __future__ import annotations

import builtins
import ctypes
import functools
import io
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
DEVICES = ("/dev/", "/proc/")
# Arguments that name a path, by function: the first, or the first two.
LOOKING = ("stat", "lstat", "access", "readlink", "chdir", "walk", "statvfs")
CHANGING = ("chmod", "utime", "truncate", "chown", "setxattr")
AUDITED = {
    "os.mkdir": 1,
    "os.rmdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.link": 2,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.chmod": 1,
    "os.utime": 1,
    "sqlite3.connect": 1,
}


class Scratch:
    """An overlay of the file system: `root` + the absolute path is where a path is written."""

    def __init__(self, root: str, allowed: tuple[str, ...] = ()) -> None:
        self.root = os.path.realpath(root)
        self._free = (self.root + os.sep, *(os.path.realpath(path) + os.sep for path in allowed), *DEVICES)
        self._gone: set[str] = set()  # deleted by the trial, still there in truth
        self._real = {name: getattr(os, name) for name in (*LOOKING, *CHANGING, "open", "mkdir", "listdir", "scandir")}
        self._real |= {name: getattr(os, name) for name in ("remove", "rmdir", "rename")}

    # -- paths -----------------------------------------------------------------------------------------------

    def _place(self, path: Any) -> tuple[str, str] | None:
        """(true path, its place in the scratch folder); None for what is not redirected: descriptors, devices."""
        if isinstance(path, int) or path is None:
            return None
        text = os.path.abspath(os.fsdecode(os.fspath(path)))
        if (text + os.sep).startswith(self._free):
            return None
        return text, self.root + text

    def _lies(self, path: str) -> bool:
        try:
            self._real["lstat"](path)
        except OSError:
            return False
        return True

    def read(self, path: Any) -> Any:
        """Where a path is to be read."""
        place = self._place(path)
        if place is None:
            return path
        true, ours = place
        if self._lies(ours):
            return ours
        return os.path.join(self.root, "gone") if self._is_gone(true) else path

    def _is_gone(self, true: str) -> bool:
        while true not in self._gone:
            if true == os.path.dirname(true):
                return False
            true = os.path.dirname(true)
        return True

    def write(self, path: Any, keep: bool = True) -> Any:
        """Where a path is to be written: its folder is there, and what it holds, where that is to be kept."""
        place = self._place(path)
        if place is None:
            return path
        true, ours = place
        self._folder(os.path.dirname(true))
        if keep and not self._lies(ours) and not self._is_gone(true) and self._lies(true):
            if stat.S_ISDIR(self._real["stat"](true).st_mode):
                self._folder(true)
            else:
                shutil.copyfile(true, ours)
        self._gone.discard(true)
        return ours

    def _folder(self, true: str) -> None:
        """The folder of the scratch that stands for a true one; made only where that one is."""
        ours = self.root + true
        if self._lies(ours) or self._is_gone(true) or not self._lies(true):
            return
        if os.path.dirname(true) != true:
            self._folder(os.path.dirname(true))
        try:
            self._real["mkdir"](ours)
        except FileExistsError:
            return

    def forget(self, path: Any, remove: Callable[[Any], None]) -> None:
        """Delete: the copy in truth, the true one in appearance."""
        place = self._place(path)
        if place is None:
            remove(path)
            return
        true, ours = place
        if self._lies(ours):
            remove(ours)
        elif self._is_gone(true) or not self._lies(true):
            raise FileNotFoundError(2, os.strerror(2), os.fspath(path))
        self._gone.add(true)

    # -- the functions of Python that take paths ---------------------------------------------------------------

    def install(self) -> None:
        """From now on, nothing outside is written."""
        self._redirect_opening()
        for name in LOOKING:
            if name != "walk":
                setattr(os, name, self._first(self._real[name], self.read))
        for name in CHANGING:
            setattr(os, name, self._first(self._real[name], self.write))
        os.mkdir = self._mkdir
        os.remove = os.unlink = functools.wraps(self._real["remove"])(
            lambda path, *, dir_fd=None: (
                self._real["remove"](path, dir_fd=dir_fd)
                if dir_fd is not None
                else self.forget(path, self._real["remove"])
            )
        )
        os.rmdir = lambda path, *, dir_fd=None: self.forget(path, self._real["rmdir"])
        os.rename = os.replace = self._rename
        os.listdir, os.scandir = self._listdir, self._scandir
        shutil.rmtree = self._rmtree  # type: ignore[assignment]
        tempfile.tempdir = os.environ["TMPDIR"] = os.path.join(self.root, "tmp")
        os.makedirs(tempfile.tempdir, exist_ok=True)
        sys.addaudithook(self._audit)
        restrict_writes([path.rstrip(os.sep) for path in self._free])

    def _redirect_opening(self) -> None:
        real = builtins.open

        @functools.wraps(real)
        def open_file(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            writes = any(letter in mode for letter in "wax+")
            place = self.write(file, keep="w" not in mode) if writes else self.read(file)
            return real(place, mode, *args, **kwargs)

        builtins.open = io.open = open_file

        def open_descriptor(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            if dir_fd is None:
                path = self.write(path, keep=not flags & os.O_TRUNC) if flags & WRITING else self.read(path)
            return int(self._real["open"](path, flags, mode, dir_fd=dir_fd))

        os.open = open_descriptor

    @staticmethod
    def _first(function: Any, place: Callable[[Any], Any]) -> Any:
        @functools.wraps(function)
        def redirected(path: Any, *args: Any, **kwargs: Any) -> Any:
            return function(path if kwargs.get("dir_fd") is not None else place(path), *args, **kwargs)

        return redirected

    def _mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        if dir_fd is not None or self._place(path) is None:
            self._real["mkdir"](path, mode, dir_fd=dir_fd)
            return
        if os.path.lexists(path):
            raise FileExistsError(17, os.strerror(17), os.fspath(path))
        self._real["mkdir"](self.write(path, keep=False), mode)

    def _rename(self, src: Any, dst: Any, **_: Any) -> None:
        place = self._place(src)
        source, target = self.write(src), self.write(dst, keep=False)
        self._real["rename"](source, target)
        if place is not None:
            self._gone.add(place[0])

    def _rmtree(self, path: Any, ignore_errors: bool = False, *_: Any, **__: Any) -> None:
        if not os.path.lexists(path) and not ignore_errors:
            raise FileNotFoundError(2, os.strerror(2), os.fspath(path))
        place = self._place(path)
        ours = os.fspath(path) if place is None else place[1]
        for folder, folders, files in self._real["walk"](ours, topdown=False):
            for name in files:
                self._real["remove"](os.path.join(folder, name))
            for name in folders:
                self._real["rmdir"](os.path.join(folder, name))
        if self._lies(ours):
            self._real["rmdir"](ours)
        if place is not None:
            self._gone.add(place[0])

    def _listdir(self, path: Any = ".") -> list[Any]:
        place = self._place(path)
        if place is None or not self._lies(place[1]):
            names = self._real["listdir"](path)
        else:
            names = set(self._real["listdir"](place[1]))
            if self._lies(place[0]) and not self._is_gone(place[0]):
                names |= set(self._real["listdir"](place[0]))
            names = sorted(names)
        return [n for n in names if place is None or os.path.join(place[0], os.fsdecode(n)) not in self._gone]

    def _scandir(self, path: Any = ".") -> Any:
        place = self._place(path)
        if place is None or not self._lies(place[1]):
            return self._real["scandir"](path)
        entries = {entry.name: entry for entry in self._real["scandir"](place[1])}
        if self._lies(place[0]) and not self._is_gone(place[0]):
            for entry in self._real["scandir"](place[0]):
                if os.path.join(place[0], entry.name) not in self._gone:
                    entries.setdefault(entry.name, entry)
        return Entries(list(entries.values()))

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & WRITING and self._place(path) is not None:
                self._refuse(path)
        elif event in AUDITED:
            for path in arguments[: AUDITED[event]]:
                if isinstance(path, (str, bytes)) and path != ":memory:" and self._place(path) is not None:
                    self._refuse(path)

    @staticmethod
    def _refuse(path: Any) -> None:
        raise PermissionError(13, "sgdoctor: a trial writes nothing outside its scratch folder", os.fsdecode(path))

    def redirect_torch(self, torch: Any) -> None:
        """torch writes its archives in C++, by path."""
        real = torch._C.PyTorchFileWriter

        @functools.wraps(real)
        def writer(name: Any, *args: Any, **kwargs: Any) -> Any:
            place = self.write(name, keep=False) if isinstance(name, (str, os.PathLike)) else name
            return real(place, *args, **kwargs)

        torch._C.PyTorchFileWriter = writer


class Entries(list[Any]):
    """What `os.scandir` gives: an iterator that is a context manager."""

    def __enter__(self) -> Entries:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __iter__(self) -> Any:
        while self:
            yield self.pop(0)

    def __next__(self) -> Any:
        if not self:
            raise StopIteration
        return self.pop(0)

    def close(self) -> None:
        """Nothing is open."""


def restrict_writes(folders: list[str]) -> bool:
    """Have the kernel refuse every write of this process outside `folders`; False where it cannot (no Landlock).

    See the kernel's documentation of Landlock, https://docs.kernel.org/userspace-api/landlock.html
    """
    if sys.platform != "linux":
        return False
    create, add, restrict, no_new_privileges, version_only, beneath = 444, 445, 446, 38, 1, 1
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(create, None, ctypes.c_size_t(0), ctypes.c_uint32(version_only))
    if version < 1:
        return False
    # Writing, removing, making (bits 1, 4-12); moving between folders since version 2, truncating since 3.
    rights = 0b1_1111_1111_0010 | (1 << 13 if version >= 2 else 0) | (1 << 14 if version >= 3 else 0)
    attribute = ctypes.c_uint64(rights)
    ruleset = libc.syscall(create, ctypes.byref(attribute), ctypes.c_size_t(8), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_PATH", 0))
        rule = (ctypes.c_byte * 12).from_buffer_copy(
            rights.to_bytes(8, "little") + descriptor.to_bytes(4, "little", signed=True)
        )
        libc.syscall(add, ctypes.c_int(ruleset), ctypes.c_int(beneath), ctypes.byref(rule), ctypes.c_uint32(0))
        os.close(descriptor)
    libc.prctl(no_new_privileges, 1, 0, 0, 0)
    done = libc.syscall(restrict, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    os.close(ruleset)
    return bool(done == 0)
