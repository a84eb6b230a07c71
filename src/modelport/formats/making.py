"""The dangerous half of the pickle machine: opcodes that name globals, call them, fill objects and add to containers.

Each is performed symbolically and checked against what picklers of benign libraries write. What is broken here is refused
for good; a name that is merely not on the list is recorded, and the caller decides.
"""

from __future__ import annotations

from dataclasses import replace

from modelport.errors import RefusedFile, UnreadableFile
from modelport.formats import arrays
from modelport.formats.atoms import ATOMS
from modelport.formats.batches import Table, fill
from modelport.formats.machine import CONTAINERS, MAX_STACK, Handler, Machine, check_key
from modelport.formats.rules import DTYPE, RECONSTRUCTOR, fault, state_fault
from modelport.formats.symbols import Group, Node, Ref, Symbol, Use, kind_of

WRAPPERS = {"joblib.numpy_pickle.NumpyArrayWrapper"}
_LISTS = {"collections.deque"}
_MAPPINGS = {
    "collections.OrderedDict",
    "collections.defaultdict",
    "collections.Counter",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils.Bunch",
}
_STOP = ord(".")
_MAX_NAME = 512


def walk(m: Machine) -> Symbol:
    """Perform the pickle that begins at the machine's position and return its symbolic result.

    Raises: RefusedFile for what no benign pickle does, UnreadableFile where the bytes are no complete pickle.
    """
    data, handlers = m.data, HANDLERS
    try:
        for _ in range(m.budget + 1):
            code = data[m.pos]
            m.pos += 1
            if code == _STOP:
                break
            handlers[code](m)
            if len(m.stack) > MAX_STACK:
                raise RefusedFile(f"the pickle piles more than {MAX_STACK} objects on its stack; picklers keep a thousand there")
        else:
            raise RefusedFile(f"the pickle goes on after {m.budget} opcodes, far more than a model of its size has")
        result = m.stack.pop()
    except (IndexError, KeyError) as error:
        if m.pos >= len(data):
            raise UnreadableFile(f"the pickle is cut off: it ends at byte {len(data)} without its STOP") from error
        raise UnreadableFile(
            f"the bytes are no pickle: the opcode {data[m.pos - 1]:#04x} at byte {m.pos - 1} cannot stand there"
        ) from error
    except (ValueError, OverflowError) as error:  # numbers and texts that do not parse, UnicodeDecodeError included
        raise UnreadableFile(f"the bytes are no pickle: a value before byte {m.pos} does not parse") from error
    if m.stack or m.marks:
        raise RefusedFile("the pickle leaves objects on its stack; picklers leave none")
    return result


def _find(m: Machine, module: Symbol, name: Symbol) -> None:
    if not isinstance(module, str) or not isinstance(name, str):
        m.found["", "computed"] = Ref("computed", f"at byte {m.pos}", "computed")
        raise RefusedFile(f"the pickle computes the name of a global at byte {m.pos}; picklers write it as plain text")
    if not all(part.isidentifier() for part in f"{module}.{name}".split(".")) or len(module) + len(name) > _MAX_NAME:
        raise RefusedFile(f"the pickle names a global at byte {m.pos} whose name no Python module can have")
    ref = m.found.get((module, name))
    if ref is None:
        ref = m.judge(module, name)
        m.found[module, name] = ref
    if "." in name:
        m.found[module, name] = replace(ref, kind="dangerous")
        raise RefusedFile(f"the pickle names {module}.{name}, an attribute of an attribute; only plain names of a module can be checked")
    m.stack.append(ref)


def _global(m: Machine) -> None:
    module = m.line().decode("utf-8")
    _find(m, module, m.line().decode("utf-8"))


def _stack_global(m: Machine) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    _find(m, module, name)


def _maker(m: Machine, symbol: Symbol, use: Use) -> Ref:
    if not isinstance(symbol, Ref):
        raise RefusedFile(f"the pickle calls an object that it made itself (byte {m.pos - 1}); only named globals may be called")
    if symbol.kind == "known" and use not in symbol.uses:
        raise RefusedFile(f"the pickle calls {symbol.dotted} (byte {m.pos - 1}), which benign files hold as a value or make in another way")
    return symbol


def _reduce(m: Machine) -> None:
    args, target = m.stack.pop(), m.stack.pop()
    maker = _maker(m, target, "reconstruct")
    if not isinstance(args, tuple):
        raise RefusedFile(f"the pickle calls {maker.dotted} with arguments that are no tuple")
    if maker.kind == "known" and (problem := fault(maker.dotted, args)):
        raise RefusedFile(f"the pickle calls {maker.dotted} {problem}")
    if maker.dotted == RECONSTRUCTOR and isinstance(args[0], Ref):
        m.stack.append(Node(args[0], ()))
        return
    node = Node(maker, args)
    if maker.dotted == DTYPE:
        node.dtype = arrays.base_dtype(args)
    m.stack.append(node)


def _new(m: Machine, args: Symbol, target: Symbol) -> None:
    maker = _maker(m, target, "class")
    if not isinstance(args, tuple):
        raise RefusedFile(f"the pickle makes a {maker.dotted} from arguments that are no tuple")
    m.stack.append(Node(maker, args))


def _newobj(m: Machine) -> None:
    args, target = m.stack.pop(), m.stack.pop()
    _new(m, args, target)


def _newobj_ex(m: Machine) -> None:
    keywords, args, target = m.stack.pop(), m.stack.pop(), m.stack.pop()
    if not isinstance(keywords, dict) or not all(isinstance(key, str) for key in keywords):
        raise RefusedFile("the pickle makes an object from keywords that are no dictionary of names")
    _new(m, args, target)


def _build(m: Machine) -> None:
    at = m.pos - 1
    state, target = m.stack.pop(), m.stack[-1]
    for part in state if isinstance(state, tuple) else (state,):
        if isinstance(part, Table) and part.later:
            fill(m, part)  # what is in it decides
    if not isinstance(target, Node):
        what = f"the global {target.dotted}" if isinstance(target, Ref) else f"a {kind_of(target)}"
        raise RefusedFile(f"the pickle sets attributes of {what} (byte {at}); only objects that it made may be filled")
    if target.is_built:
        raise RefusedFile(f"the pickle fills the same {target.maker.dotted} twice (byte {at}); picklers do it once")
    if target.maker.kind == "known":
        check_state(target, state)
    target.state, target.is_built = state, True
    if target.maker.dotted == DTYPE and target.dtype is not None:
        target.dtype = arrays.built_dtype(target.dtype, state)
    if target.maker.dotted in WRAPPERS:
        _array_block(m, at, state)
    elif isinstance(state, dict):
        m.built.append(target)


def check_state(node: Node, state: Symbol) -> None:
    """Raise RefusedFile for a state that an object of a listed class may not be filled with."""
    if problem := state_fault(node.maker.dotted, node.args, state):
        raise RefusedFile(f"the pickle makes a {node.maker.dotted} {problem}")
    is_slotted = isinstance(state, tuple) and len(state) == 2
    for part in state if isinstance(state, tuple) and is_slotted else (state,):
        if not isinstance(part, dict):
            continue
        for key in part:
            if isinstance(key, str) and key.startswith("__") and key.endswith("__"):
                raise RefusedFile(f"the pickle sets {key} of a {node.maker.dotted}; that would replace how Python handles the object")


def _array_block(m: Machine, at: int, state: Symbol) -> None:
    """Step over an array that joblib wrote raw after its wrapper, and note how to replace both when loading."""
    if m.is_nested or m.pos < m.frame_stop:
        raise RefusedFile(f"a joblib array block begins at byte {m.pos}, where joblib cannot have written one")
    block = arrays.block_of(state)
    if block.dtype.hasobject:
        inner = Machine(m.data, m.judge, m, m.pos)
        root = walk(inner)
        block = replace(block, start=m.pos, nested=inner.stream(), root=root)
        stop = inner.pos
    else:
        start = m.pos
        if isinstance(state, dict) and state.get("numpy_array_alignment_bytes") is not None:
            start += 1 + m.data[start]
        stop = start + arrays.nbytes(block)
        if stop > len(m.data):
            raise UnreadableFile(f"the file is cut off: an array of {block.dtype} ends at byte {stop}, the data at {len(m.data)}")
        block = replace(block, start=start)
    # POP the state and the wrapper, push the block's number, and let the unpickler ask us for the array of that number.
    m.cuts.append((at, stop, b"00J" + len(m.blocks).to_bytes(4, "little") + b"Q"))
    m.blocks.append(block)
    m.stack[-1] = block
    m.pos = stop


def _extend(m: Machine, items: list[Symbol]) -> None:
    target = m.stack[-1]
    if isinstance(target, list):
        target.extend(items)
    elif not isinstance(target, Node) or (target.maker.kind == "known" and target.maker.dotted not in _LISTS):
        raise RefusedFile(f"the pickle appends to {_called(target)} (byte {m.pos - 1}), which is no list")


def _append(m: Machine) -> None:
    _extend(m, [m.stack.pop()])


def _appends(m: Machine) -> None:
    _extend(m, m.pop_mark())


def _update(m: Machine, items: list[Symbol]) -> None:
    target = m.stack[-1]
    if isinstance(target, Node) and (target.maker.kind != "known" or target.maker.dotted in _MAPPINGS):
        mapping = target.items
    elif isinstance(target, dict):
        mapping = target
    else:
        raise RefusedFile(f"the pickle sets items of {_called(target)} (byte {m.pos - 1}), which is no dictionary")
    _fill(mapping, items)


def _fill(mapping: dict[Symbol, Symbol], items: list[Symbol]) -> None:
    if len(items) % 2:
        raise UnreadableFile("the pickle gives a dictionary a key without a value; it is damaged")
    keys = items[::2]
    for key in keys:
        if type(key) is not str:
            check_key(key)
    mapping.update(zip(keys, items[1::2], strict=True))


def _setitem(m: Machine) -> None:
    value, key = m.stack.pop(), m.stack.pop()
    _update(m, [key, value])


def _setitems(m: Machine) -> None:
    _update(m, m.pop_mark())


def _dict(m: Machine) -> None:
    made = Table()
    _fill(made, m.pop_mark())
    m.stack.append(made)


def _additems(m: Machine) -> None:
    items, target = m.pop_mark(), m.stack[-1]
    if not isinstance(target, Group):
        raise RefusedFile(f"the pickle adds members to {_called(target)} (byte {m.pos - 1}), which is no set")
    for item in items:
        check_key(item)
    target.members.extend(items)


def _called(symbol: Symbol) -> str:
    return f"a {symbol.maker.dotted}" if isinstance(symbol, Node) else f"a {kind_of(symbol)}"


def _refuse(what: str) -> Handler:
    def handler(m: Machine) -> None:
        raise RefusedFile(f"the pickle {what} (byte {m.pos - 1}); no model library writes that")

    return handler


HANDLERS: dict[int, Handler] = {
    **ATOMS,
    **CONTAINERS,
    ord("c"): _global,
    ord("\x93"): _stack_global,
    ord("R"): _reduce,
    ord("\x81"): _newobj,
    ord("\x92"): _newobj_ex,
    ord("b"): _build,
    ord("a"): _append,
    ord("e"): _appends,
    ord("s"): _setitem,
    ord("u"): _setitems,
    ord("d"): _dict,
    ord("\x90"): _additems,
    ord("i"): _refuse("calls a class by INST, as only Python 2 classes of old did"),
    ord("o"): _refuse("calls a class by OBJ, as only Python 2 classes of old did"),
    ord("\x82"): _refuse("uses the extension registry"),
    ord("\x83"): _refuse("uses the extension registry"),
    ord("\x84"): _refuse("uses the extension registry"),
    ord("P"): _refuse("refers to an object outside of itself by a persistent id"),
    ord("Q"): _refuse("refers to an object outside of itself by a persistent id"),
    ord("\x97"): _refuse("refers to a buffer outside of itself"),
    ord("\x98"): _refuse("refers to a buffer outside of itself"),
}
