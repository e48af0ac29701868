"""`RUN --mount`: the fields of each type, and the mount that they mean. Reference §1.8."""

from __future__ import annotations

import re

import msgspec

from jettison.planning.faults import FaultError, Words, meant
from jettison.planning.ops import AnyMount, BindMount, CacheMount, SecretMount, SshMount, TmpfsMount
from jettison.planning.refs import mount_ref
from jettison.planning.remotes import go_bool
from jettison.planning.stage import Stage, Work
from jettison.syntax.cleanpath import clean
from jettison.syntax.nodes import MountOption
from jettison.syntax.regex import lazy

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARING = ("shared", "private", "locked")
MAX_ID = 2**32 - 1

_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite"}
_KEYS = frozenset({
    "type", "from", "source", "target", "readonly", "readwrite", "required", "size", "id", "sharing", "mode", "uid",
    "gid", "env",
})  # fmt: skip
_FLAGS = frozenset({"readonly", "readwrite", "required"})
_SIZE = lazy(r"([0-9]+(?:\.[0-9]+)?) ?([kmgtp])?i?b?", re.IGNORECASE)
_DIGITS = lazy(r"[0-9]{1,10}")
_OCTAL = lazy(r"[0-7]{1,11}")


class Fields(msgspec.Struct, kw_only=True):
    """One `--mount`, its values read. What is None was not given."""

    type: str = "bind"
    source: str = ""
    target: str = ""
    readonly: bool | None = None
    required: bool = False
    size: int = 0
    id: str = ""
    sharing: str = ""
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str | None = None


class MountReader(msgspec.Struct, kw_only=True):
    """Reads the mounts of one RUN. `inputs` are the steps that they read beside the tree, `owned` the ids of caches
    that have an owner or a mode.
    """

    work: Work
    stage: Stage
    words: Words
    inputs: list[str] = []
    owned: list[str] = []
    agents: int = 0

    def read(self, options: tuple[MountOption, ...]) -> tuple[AnyMount, ...]:
        """The mounts, in order; of two at one place the last one stays. Raises FaultError."""
        mounts: list[AnyMount] = []
        for option in options:
            mount = self._mount(option)
            mounts = [other for other in mounts if not mount.target or other.target != mount.target]
            mounts.append(mount)
        return tuple(mounts)

    def _mount(self, option: MountOption) -> AnyMount:
        fields = read_fields(option, self.words)
        match fields.type:
            case "secret":
                return self._secret(fields, option)
            case "ssh":
                return self._ssh(fields, option)
            case "tmpfs":
                return TmpfsMount(target=self._target(fields, option), size_bytes=fields.size)
            case "cache":
                return self._cache(fields, option)
            case _:
                return self._bind(fields, option)

    def _target(self, fields: Fields, option: MountOption) -> str:
        target = self._absolute(fields.target)
        if target == "/":
            hint = "give target=, a path below /" if not fields.target else "a mount cannot hide the whole tree"
            raise FaultError('invalid mount target "/"', option.span, hint)
        return target

    def _absolute(self, path: str) -> str:
        return clean(path if path.startswith("/") else f"{self.stage.cwd}/{path}")

    def _input(self, step: str) -> int:
        if step not in self.inputs:
            self.inputs.append(step)
        return self.inputs.index(step) + 1  # inputs[0] is the tree that the process sees

    def _bind(self, fields: Fields, option: MountOption) -> BindMount:
        ref = mount_ref(option, self.work.stages)
        return BindMount(
            target=self._target(fields, option),
            input=self._input(self.work.context() if ref is None else self.work.tree(ref)),
            source=clean(f"/{fields.source}"),
            readonly=fields.readonly is not False,
        )

    def _cache(self, fields: Fields, option: MountOption) -> CacheMount:
        """The id says all that makes it another cache: namespace, id, what it starts with, and its base's owner."""
        ref = mount_ref(option, self.work.stages)
        source = clean(f"/{fields.source}")
        seed = [f"from={ref.text.lower()}"] if ref else []
        seed += [f"source={source}"] if source != "/" else []
        owner = source == "/" and (fields.uid, fields.gid, fields.mode) != (None, None, None)
        mode, uid, gid = _owned(fields, 0o755) if owner else (0o755, 0, 0)
        seed += [f"uid={uid},gid={gid},mode={mode:o}"] if owner else []
        namespace = self.work.options.build_args.get("BUILDKIT_CACHE_MOUNT_NS", self.work.options.cache_namespace)
        name = fields.id or clean(fields.target)
        cache_id = (f"{namespace}/{name}" if namespace else name) + (f" ({','.join(seed)})" if seed else "")
        self.owned += [cache_id] if owner else []
        return CacheMount(
            target=self._target(fields, option),
            id=cache_id,
            sharing=fields.sharing or "shared",
            readonly=fields.readonly is True,
            mode=mode,
            uid=uid,
            gid=gid,
            input=None if ref is None or ref.text == "scratch" else self._input(self.work.tree(ref)),
            source=source,
        )

    def _secret(self, fields: Fields, option: MountOption) -> SecretMount:
        _check_secret(fields, option)
        name = fields.source or fields.id or clean(fields.target).rpartition("/")[2]
        target = self._absolute(fields.target) if fields.target else ""
        if not target and fields.env is None:
            target = f"/run/secrets/{name.rstrip('/').rpartition('/')[2]}"
        mode, uid, gid = _owned(fields, 0o400)
        return SecretMount(
            target=target,
            id=name,
            env=fields.env,
            required=fields.required,
            mode=mode,
            uid=uid,
            gid=gid,
            stamp=self.work.options.secret_stamps.get(name, ""),
        )

    def _ssh(self, fields: Fields, option: MountOption) -> SshMount:
        if fields.source:
            raise FaultError("ssh mount does not support source", option.span, "name the agent with id=")
        target = self._absolute(fields.target) if fields.target else f"/run/buildkit/ssh_agent.{self.agents}"
        self.agents += 1
        mode, uid, gid = _owned(fields, 0o600)
        return SshMount(target=target, id=fields.id or "default", required=fields.required, mode=mode, uid=uid, gid=gid)


def _owned(fields: Fields, mode: int) -> tuple[int, int, int]:
    return (mode if fields.mode is None else fields.mode), fields.uid or 0, fields.gid or 0


def _check_secret(fields: Fields, option: MountOption) -> None:
    if not (fields.source or fields.target or fields.id):
        raise FaultError("invalid secret mount. one of source, target required", option.span, "name it: id=NAME")
    if fields.source and fields.id:
        raise FaultError("both source and id can't be set", option.span, "source is another word for id here")


def read_fields(option: MountOption, words: Words) -> Fields:
    """The fields of one mount, values expanded and checked. Raises FaultError."""
    fields = Fields()
    for written, raw in option.fields:
        key = _ALIASES.get(written.lower(), written.lower())
        if key not in _KEYS:
            message = f"unexpected key '{written}' in '{written}={raw or ''}'{meant(written, [*_KEYS, *_ALIASES])}"
            raise FaultError(message, option.span, f"the keys are {', '.join(sorted(_KEYS))}")
        if raw is None and key not in _FLAGS:
            raise FaultError(f"invalid field '{written}' must be a key=value pair", option.span)
        value = None if raw is None else words.one(raw, option.span)
        _set(fields, key, written, value, option)
    _check_fields(fields, option)
    return fields


def _set(fields: Fields, key: str, written: str, value: str | None, option: MountOption) -> None:
    text = value or ""
    match key:
        case "readonly" | "readwrite" | "required":
            _set_flag(fields, key, written, value, option)
        case "type":
            fields.type = _one_of(text, TYPES, "unsupported mount type", option)
        case "sharing":
            fields.sharing = _one_of(text, SHARING, "unsupported sharing value", option)
        case "mode":
            fields.mode = _number(text, _OCTAL, 8, key, option)
        case "uid" | "gid":
            setattr(fields, key, _number(text, _DIGITS, 10, key, option))
        case "size":
            if fields.type != "tmpfs":
                raise _unexpected(written, fields, option)
            fields.size = _size(text, option)
        case "from":
            pass  # found without expansion, by refs
        case _:
            setattr(fields, key, text)


def _set_flag(fields: Fields, key: str, written: str, value: str | None, option: MountOption) -> None:
    if key == "required" and fields.type not in {"secret", "ssh"}:
        raise _unexpected(written, fields, option)
    truth = True if value is None else go_bool(value)
    if truth is None:
        raise FaultError(f"invalid value for {written}: {value}", option.span, "write true or false")
    if key == "required":
        fields.required = truth
    else:
        fields.readonly = truth if key == "readonly" else not truth


def _unexpected(written: str, fields: Fields, option: MountOption) -> FaultError:
    hint = "type= stands before the keys that need it" if fields.type == "bind" else None
    return FaultError(f"unexpected key '{written}' for mount type '{fields.type}'", option.span, hint)


def _one_of(text: str, known: tuple[str, ...], what: str, option: MountOption) -> str:
    if text.lower() in known:
        return text.lower()
    raise FaultError(f'{what} "{text}"{meant(text, known)}', option.span, f"it is one of {', '.join(known)}")


def _number(text: str, form: re.Pattern[str], base: int, key: str, option: MountOption) -> int:
    if not form.fullmatch(text) or int(text, base) > MAX_ID:
        hint = "modes are octal, such as 0700" if base == 8 else "names are not looked up here: write a number"
        raise FaultError(f"invalid value {text} for {key}", option.span, hint)
    return int(text, base)


def _size(text: str, option: MountOption) -> int:
    found = _SIZE.fullmatch(text)
    if found is None or len(text) > 30:
        raise FaultError(f"invalid value for size: {text}", option.span, "write a number of bytes, or 64m, 1g")
    exponent = "kmgtp".find((found[2] or "").lower()) + 1 if found[2] else 0
    return int(float(found[1]) * 1024**exponent)


def _check_fields(fields: Fields, option: MountOption) -> None:
    if fields.type in {"bind", "tmpfs"}:
        for key in ("mode", "uid", "gid"):
            if getattr(fields, key) is not None:
                raise FaultError(f'{key} not allowed for "{fields.type}" type mounts', option.span)
    if fields.type == "secret":
        if dict(option.fields).get("from"):
            raise FaultError("secret mount should not have a from", option.span)
        if fields.sharing:
            raise FaultError("secret mount should not define sharing", option.span)
    elif fields.env is not None:
        raise FaultError(f"unexpected key 'env' for mount type '{fields.type}'", option.span)
    if fields.sharing and fields.type != "cache":
        raise FaultError(f"invalid cache sharing set for {fields.type} mount", option.span)
