"""What a call does: the program's own functions are entered, what is outside is written down."""

from __future__ import annotations

import ast
from collections.abc import Callable

from ..module import Function as Definition
from .expressions import Expressions
from .values import (
    Attr,
    Branch,
    Call,
    Carried,
    Class,
    Const,
    Either,
    Element,
    External,
    Function,
    Instance,
    Mapping,
    Namespace,
    Op,
    Parent,
    Partial,
    Scope,
    Sequence,
    Value,
    either,
)

MAX_DEPTH = 24  # calls within calls
MAX_ITEMS = 64  # of a tuple that is handed on as arguments
MAX_ENTRIES = 40  # times that one function is gone through in one entry
SAME = frozenset(("to", "cuda", "cpu", "float", "double", "half", "bfloat16", "apply", "type", "xpu", "to_empty"))
ITSELF = frozenset(("train", "eval", "requires_grad_", "share_memory"))
WRAPPERS = frozenset(
    ("torch.compile", "torch.nn.DataParallel", "torch.nn.parallel.DistributedDataParallel", "torch.jit.script")
)
PREPARING = frozenset(("prepare", "setup", "setup_module", "setup_optimizers", "setup_dataloaders", "prepare_model"))
FRAMEWORKS = ("accelerate.", "lightning.", "lightning_fabric.", "pytorch_lightning.")
NO_GRAD = ("torch.no_grad", "torch.inference_mode", "torch.autograd.no_grad", "torch.autograd.inference_mode")
ENABLE_GRAD = ("torch.enable_grad", "torch.autograd.enable_grad")
SET_GRAD = ("torch.set_grad_enabled", "torch.autograd.set_grad_enabled")


class Frame:
    """A function being gone through."""

    __slots__ = ("function", "returned", "yielded")

    def __init__(self, function: Function) -> None:
        self.function = function
        self.returned: list[Value] = []
        self.yielded: list[Value] = []


def is_layer(value: Value) -> bool:
    """Whether it is one of torch's own layers or containers."""
    if not isinstance(value, Call) or not isinstance(value.fn, External):
        return False
    name = value.fn.name
    return name.startswith("torch.nn.") and name.rpartition(".")[2][:1].isupper() and not name.endswith(".Parameter")


def is_module(value: Value) -> bool:
    """Whether it is an nn.Module for sure."""
    return value.is_module if isinstance(value, Instance) else is_layer(value)


class Calls(Expressions):
    """The part of the machine that calls."""

    frames: list[Frame]
    entered: set[ast.AST]
    made: set[ast.AST]
    spaces: dict[str, Namespace]
    block: Callable[[list[ast.stmt], Scope], str]

    def _call(self, node: ast.Call, scope: Scope) -> Value:
        fn = self.value(node.func, scope)
        args: list[Value] = []
        for each in node.args:
            value = self.value(each, scope)
            if isinstance(each, ast.Starred):
                if isinstance(value, Sequence) and value.whole and len(value.items) <= MAX_ITEMS:
                    args += value.items
                else:
                    args.append(Op("star", [value], each, self.module))
            else:
                args.append(value)
        kwargs: dict[str, Value] = {}
        for word in node.keywords:
            value = self.value(word.value, scope)
            if word.arg is not None:
                kwargs[word.arg] = value
            elif isinstance(value, Mapping) and value.whole:
                kwargs.update({str(key): each for key, each in value.items.items()})
            else:
                kwargs["**"] = value
        return self.call(fn, args, kwargs, node)

    def call(self, fn: Value, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
        """What a call gives."""
        if isinstance(fn, Carried):
            fn = self.settled(fn)
        if isinstance(fn, Function):
            return self.enter(fn, args, kwargs, node)
        if isinstance(fn, Class):
            return self.instantiate(fn, args, kwargs, node)
        if isinstance(fn, Instance):
            return self._applied(fn, args, kwargs, node)
        if isinstance(fn, Partial):
            return self.call(fn.fn, [*fn.args, *args], {**fn.kwargs, **kwargs}, node)
        if isinstance(fn, Either) and len(fn.options) <= 3 and any(_own(each) for each in fn.options):
            return self._each(fn, args, kwargs, node)
        return self._outside(fn, args, kwargs, node)

    def _each(self, fn: Either, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
        branch, outer = Branch(node, self.module, None), self.steps
        outer.append(branch)
        results = []
        self.depth += 1
        for option in fn.options:
            self.steps = []
            results.append(self.call(option, list(args), dict(kwargs), node))
            branch.arms.append((self.steps, ""))
        self.depth -= 1
        self.steps = outer
        merged = results[0]
        for each in results[1:]:
            merged = either(merged, each)
        return merged

    def _outside(self, fn: Value, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
        name = fn.name if isinstance(fn, External) else ""
        if name == "super":
            return self._parent()
        if name == "functools.partial" and args:
            return Partial(args[0], args[1:], kwargs, node, self.module)
        if name == "dict" and not args:
            return Mapping(dict(kwargs), node, self.module, "**" not in kwargs)
        if name == "len" and args and isinstance(args[0], Sequence) and args[0].whole:
            return Const(len(args[0].items), node, self.module)
        if name == "getattr" and len(args) >= 2 and isinstance(args[1], Const):
            return self.attribute(args[0], str(args[1].value), node)
        if name in SET_GRAD:
            self.grad = args[0].value if args and isinstance(args[0], Const) else None
        closure = args[0] if args and isinstance(args[0], Function) else kwargs.get("closure")
        if isinstance(fn, Attr) and fn.name == "step" and isinstance(closure, Function):
            self.enter(closure, [], {}, node)
        if isinstance(fn, Attr) and fn.name == "apply" and isinstance(closure, Function) and is_module(fn.of):
            every = Call(Attr(fn.of, "modules"), [], {}, node, self.module)  # each module inside is handed over
            self.enter(closure, [Element(every, node, node, self.module)], {}, node)
        result: Value = Call(fn, args, kwargs, node, self.module)
        result.grad = self.grad  # type: ignore[attr-defined]
        event = self.event("call", fn, args, kwargs, node)
        event.result = result
        if name in WRAPPERS and args:
            event.result = args[0]
        elif isinstance(fn, Attr):
            event.result = self._of_method(fn, args, result)
        elif is_layer(fn):
            event.result = self._through(fn, args, result, node)
        return event.result

    def _of_method(self, fn: Attr, args: list[Value], result: Value) -> Value:
        owner = self.settled(fn.of)
        if fn.name in ITSELF or (fn.name in SAME and is_module(owner)):
            return fn.of
        if isinstance(owner, Sequence) and fn.name in ("append", "add", "appendleft") and args:
            owner.whole = owner.whole and self.depth <= owner.depth
            owner.items.append(args[0])
        elif isinstance(owner, Sequence) and fn.name in ("extend", "update", "insert", "pop", "clear", "remove"):
            owner.whole = False
            owner.items += args
        elif isinstance(owner, Mapping) and fn.name == "get" and args and isinstance(args[0], Const):
            return owner.items.get(args[0].value, result)
        elif isinstance(owner, Mapping) and fn.name in ("update", "pop", "setdefault", "clear"):
            owner.whole = False
        elif fn.name in PREPARING and args and _made_by(owner).startswith(FRAMEWORKS):
            node = result.node or self.module.tree
            return args[0] if len(args) == 1 else Sequence(args, "Tuple", node, self.module, self.depth, True)
        return result

    def _through(self, layer: Value, args: list[Value], result: Value, node: ast.AST) -> Value:
        """A Sequential applied: one layer after the other."""
        assert isinstance(layer, Call) and isinstance(layer.fn, External)
        layers = layers_of(layer)
        if layers is None or len(args) != 1:
            return result
        value = args[0]
        for each in layers:
            value = self.call(each, [value], {}, node)
        return value

    def _parent(self) -> Value:
        for frame in reversed(self.frames):
            if frame.function.owner is not None and frame.function.bound is not None:
                return Parent(frame.function.owner, frame.function.bound)
        return Value()

    def _applied(self, owner: Instance, args: list[Value], kwargs: dict[str, Value], node: ast.AST) -> Value:
        """An object called: an nn.Module by its forward."""
        event = self.event("call", owner, args, kwargs, node)
        for name in ("__call__", "forward"):
            found = owner.cls.find(name)
            if found is not None and isinstance(found[0], Function):
                event.result = self.enter(found[0].bound_to(found[1], owner), args, kwargs, node)
                return event.result
        result = Call(owner, args, kwargs, node, self.module)
        result.grad = self.grad
        event.result = result
        return result

    def instantiate(
        self, cls: Class, args: list[Value], kwargs: dict[str, Value], node: ast.AST, known: bool = True
    ) -> Instance:
        """A new object; `known`: made by the program, with these arguments."""
        instance = Instance(cls, node, self.module, self.depth, known)
        if known and cls.node is not None:
            self.made.update(each.node for each in cls.order() if isinstance(each, Class) and each.node is not None)
        found = cls.find("__init__")
        if found is not None and isinstance(found[0], Function):
            self.enter(found[0].bound_to(found[1], instance), args if known else None, kwargs, node)
        else:
            fields = [
                each.target.id
                for base in reversed([each for each in cls.order() if isinstance(each, Class)])
                if isinstance(base.node, ast.ClassDef)
                for each in base.node.body
                if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
            ]
            instance.attributes.update(zip(dict.fromkeys(fields), args))
            instance.attributes.update({name: value for name, value in kwargs.items() if name in fields})
        return instance

    def enter(self, fn: Function, args: list[Value] | None, kwargs: dict[str, Value], node: ast.AST) -> Value:
        """A function of the program gone through. `args` is None where nobody is seen to call it."""
        definition, module = fn.node, fn.module
        assert definition is not None and module is not None
        entered = sum(1 for frame in self.frames if frame.function.node is definition)
        if entered or len(self.frames) >= MAX_DEPTH or self._too_often(definition):
            result = Call(fn, args or [], kwargs, node, self.module)
            self.event("call", fn, args or [], kwargs, node).result = result
            return result
        self.entered.add(definition)
        outer = self.module, self.grad, self.calls
        self.module, self.calls = module, (*self.calls, node)
        scope = Scope(fn.scope)
        frame = Frame(fn)
        self.frames.append(frame)
        if isinstance(definition, ast.Lambda):
            self._parameters(definition.args, fn, args, kwargs, scope)
            frame.returned.append(self.value(definition.body, scope))
        else:
            assert isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef))
            self._decorated(definition, fn.scope)
            self._parameters(definition.args, fn, args, kwargs, scope)
            self.block(definition.body, scope)
        self.frames.pop()
        self.module, self.calls = outer[0], outer[2]
        self.grad = outer[1]
        if frame.yielded:
            merged = frame.yielded[0]
            for each in frame.yielded[1:]:
                merged = either(merged, each)
            return Sequence([merged], "generator", node, module, self.depth, False)
        if not frame.returned:
            return Const(None, node, module)
        merged = frame.returned[0]
        for each in frame.returned[1:]:
            merged = either(merged, each)
        return merged

    def _too_often(self, definition: ast.AST) -> bool:
        self.times[definition] = self.times.get(definition, 0) + 1
        return self.times[definition] > MAX_ENTRIES

    def _decorated(self, definition: Definition, scope: Scope) -> None:
        """What decorators say about gradients."""
        for each in definition.decorator_list:
            call = each if isinstance(each, ast.Call) else None
            name = self._external(call.func if call is not None else each, scope)
            if name in NO_GRAD:
                self.grad = False
            elif name in ENABLE_GRAD:
                self.grad = True

    def _external(self, node: ast.expr, scope: Scope) -> str:
        if isinstance(node, ast.Attribute):
            head = self._external(node.value, scope)
            return f"{head}.{node.attr}" if head else ""
        if isinstance(node, ast.Name):
            holder = self.holder(scope, node.id)
            found = holder.names[node.id] if holder is not None else None
            return found.name if isinstance(found, External) else ""
        return ""

    def _parameters(
        self, arguments: ast.arguments, fn: Function, args: list[Value] | None, kwargs: dict[str, Value], scope: Scope
    ) -> None:
        names = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
        given = list(args or [])
        if fn.bound is not None:
            given.insert(0, fn.bound)
        open_ended = any(isinstance(each, Op) and each.operator == "star" for each in given) or "**" in kwargs
        for name, value in zip(names, given):
            if isinstance(value, Op) and value.operator == "star":
                break
            scope.names[name] = value
        if arguments.vararg is not None:
            rest = given[len(names) :]
            node = arguments.vararg
            scope.names[node.arg] = (
                Value(node, self.module)
                if args is None
                else Sequence(rest, "Tuple", node, self.module, self.depth, not open_ended)
            )
        keyword_names = {each.arg for each in arguments.kwonlyargs} | set(names)
        left = {}
        for name, value in kwargs.items():
            if name in keyword_names:
                scope.names[name] = value
            else:
                left[name] = value
        if arguments.kwarg is not None:
            scope.names[arguments.kwarg.arg] = Mapping(
                left, arguments.kwarg, self.module, args is not None and not open_ended
            )
        defaults = dict(zip(names[::-1], arguments.defaults[::-1]))
        defaults |= {e.arg: d for e, d in zip(arguments.kwonlyargs, arguments.kw_defaults) if d is not None}
        for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            if each.arg not in scope.names:
                default = defaults.get(each.arg)
                known = default is not None and args is not None and not open_ended
                scope.names[each.arg] = self.value(default, fn.scope) if known and default else Value(each, self.module)

    def _yield(self, node: ast.Yield | ast.YieldFrom, scope: Scope) -> Value:
        if node.value is not None and self.frames:
            value = self.value(node.value, scope)
            if isinstance(node, ast.YieldFrom):
                value = self.element(value, node, node)
            self.frames[-1].yielded.append(value)
        return Value(node, self.module)

    def gradients(self, manager: Value, current: bool | None) -> bool | None:
        """Whether gradients are on inside `with manager`."""
        if isinstance(manager, Call) and isinstance(manager.fn, External):
            name = manager.fn.name
            if name in NO_GRAD:
                off = manager.argument(0, "mode")
                return False if off is None or (isinstance(off, Const) and off.value) else None
            if name in ENABLE_GRAD:
                return True
            if name in SET_GRAD:
                mode = manager.argument(0, "mode")
                return mode.value if isinstance(mode, Const) and isinstance(mode.value, bool) else None
            return current
        if isinstance(manager, (Call, External, Attr, Const)):
            return current
        return None


def _made_by(value: Value) -> str:
    return value.fn.name if isinstance(value, Call) and isinstance(value.fn, External) else ""


def _own(value: Value) -> bool:
    return isinstance(value, (Function, Class, Instance, Partial))


def layers_of(layer: Call) -> list[Value] | None:
    """The layers of a Sequential in order; None where they are not all to be seen, or it is none."""
    if not isinstance(layer.fn, External) or layer.fn.name != "torch.nn.Sequential" or layer.kwargs:
        return None
    layers = list(layer.args)
    first = layers[0] if len(layers) == 1 else None
    if isinstance(first, Call) and _made_by(first) == "collections.OrderedDict" and len(first.args) == 1:
        pairs = first.args[0]
        if isinstance(pairs, Sequence) and pairs.whole:
            layers = [each.items[1] for each in pairs.items if isinstance(each, Sequence) and len(each.items) == 2]
    if any(isinstance(each, Op) or not (is_module(each) or isinstance(each, Call)) for each in layers):
        return None
    return layers
