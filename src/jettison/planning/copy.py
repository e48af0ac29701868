"""COPY and ADD: which paths go where, from the context, a stage, an image or the network. Reference §1.6, §1.7."""

from __future__ import annotations

import msgspec

from jettison.base.errors import InputError
from jettison.planning import history
from jettison.planning.faults import FaultError, Words
from jettison.planning.ops import CopyOp, CopySource, HttpOp, InlineFile
from jettison.planning.refs import copy_ref
from jettison.planning.remotes import GitSource, git_source, is_http, is_remote, url_filename
from jettison.planning.stage import Stage, Work
from jettison.syntax.cleanpath import clean
from jettison.syntax.glob import has_wildcard
from jettison.syntax.nodes import Add, Copy, Heredoc, Transfer, Word
from jettison.syntax.regex import lazy

MAX_MODE = 0o7777

_OCTAL = lazy(r"[0-7]+")
_SYMBOLIC = lazy(r"[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+")
_NUMERIC_OWNER = lazy(r"[0-9]+(?::[0-9]+)?")
_SHA256 = lazy(r"(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})")


class Taking(msgspec.Struct, kw_only=True):
    """One COPY or ADD while its sources are read: the steps it reads beside the tree, and what it takes of them."""

    work: Work
    stage: Stage
    node: Transfer
    words: Words
    display: str
    inputs: list[str] = []
    sources: list[CopySource] = []
    shown: list[str] = []  # for the history

    def input(self, step: str) -> int:
        """The index of an input; each step is read once."""
        if step not in self.inputs:
            self.inputs.append(step)
        return self.inputs.index(step) + 1  # inputs[0] is the tree that is written to


def lower_copy(work: Work, stage: Stage, node: Copy) -> Stage:
    """COPY."""
    taking = _taking(work, stage, node)
    ref = copy_ref(node.from_, work.stages) if node.from_ is not None else None
    tree = work.context if ref is None else lambda: work.tree(ref)
    for word in node.sources:
        path = taking.words.word(word)
        _refuse_remote(path, word)
        taking.shown.append(path)
        taking.sources.append(_local(taking.input(tree()), path, parents=node.parents, unpack=False))
    return _finished(taking, parents=node.parents)


def lower_add(work: Work, stage: Stage, node: Add) -> Stage:
    """ADD."""
    taking = _taking(work, stage, node)
    paths = [taking.words.word(word) for word in node.sources]
    checksum = taking.words.word(node.checksum)
    if checksum:
        _check_checksum(paths, checksum, node)
    for word, path in zip(node.sources, paths, strict=True):
        taking.shown.append(path)
        taking.sources.append(_added(taking, node, word, path, checksum))
    return _finished(taking, parents=False)


def _taking(work: Work, stage: Stage, node: Transfer) -> Taking:
    return Taking(
        work=work, stage=stage, node=node, words=work.words(stage, node.span), display=shown_command(node.original)
    )


def shown_command(original: str) -> str:
    """An instruction for people: the keyword in capitals, the rest as written."""
    keyword, blank, rest = original.strip().partition(" ")
    return keyword.upper() + blank + rest


def _refuse_remote(path: str, word: Word) -> None:
    if is_http(path):
        raise FaultError("source can't be a URL for COPY", word.span, "ADD fetches URLs")
    if is_remote(path):
        raise FaultError("source can't be a git ref for COPY", word.span, "ADD fetches git repositories")


def _check_checksum(paths: list[str], checksum: str, node: Add) -> None:
    span = node.checksum.span if node.checksum is not None else node.span
    if len(paths) != 1:
        raise FaultError("checksum can't be specified for multiple sources", span, "write one ADD for each source")
    if not is_remote(paths[0]):
        raise FaultError("checksum requires HTTP(S) or Git sources", span)
    if is_http(paths[0]) and not _SHA256.fullmatch(checksum):
        hint = "write --checksum=sha256: and 64 lower-case hex digits"
        raise FaultError(f"invalid checksum digest format: {checksum}", span, hint)


def _added(taking: Taking, node: Add, word: Word, path: str, checksum: str) -> CopySource:
    try:
        git = git_source(path)
    except InputError as error:
        raise FaultError(error.message, word.span, error.hint) from None
    if git is not None:
        return _git(taking, node, word, git, checksum)
    if is_http(path):
        return _http(taking, node, path, checksum)
    return _local(taking.input(taking.work.context()), path, parents=False, unpack=node.unpack)


def _git(taking: Taking, node: Add, word: Word, git: GitSource, checksum: str) -> CopySource:
    keep = git.keep_git_dir
    if node.keep_git_dir is not None and keep is not None and node.keep_git_dir != keep:
        raise FaultError("inconsistent keep-git-dir configuration", word.span, "the URL and the flag disagree")
    if checksum and git.checksum and checksum != git.checksum:
        raise FaultError(f'checksum mismatch "{checksum}" != "{git.checksum}"', word.span)
    whole = msgspec.structs.replace(
        git, checksum=git.checksum or checksum, keep_git_dir=node.keep_git_dir if keep is None else keep
    )
    step = _fetched(taking, f"git:{git.remote}", whole.op())
    return CopySource(input=taking.input(step), path="/")


def _http(taking: Taking, node: Add, url: str, checksum: str) -> CopySource:
    name = url_filename(url)
    step = _fetched(taking, f"http:{url}", HttpOp(url=url, filename=name, checksum=checksum or None))
    return CopySource(input=taking.input(step), path=f"/{name}", unpack=bool(node.unpack))


def _fetched(taking: Taking, name: str, op: object) -> str:
    work, stage = taking.work, taking.stage
    display = work.prefix(stage, stage.counter + 1) + taking.display
    return work.steps.source(name, op, display, work.location(taking.node.span))  # type: ignore[arg-type]


def _local(index: int, path: str, *, parents: bool, unpack: bool | None) -> CopySource:
    """A path of a tree. With --parents, what stands before the first `/./` is not kept under the destination."""
    pivot = ""
    if parents:
        before, mark, after = path.partition("/./")
        if mark:
            pivot = clean(f"/{before}")
            path = f"{pivot}/{after}"
    return CopySource(
        input=index,
        path=clean(f"/{path}"),
        wildcard=has_wildcard(path),
        pivot="" if pivot == "/" else pivot,
        unpack=unpack,
    )


def _inline(words: Words, heredoc: Heredoc) -> CopySource:
    data = words.body(heredoc.body, heredoc.span) if heredoc.expand else heredoc.body
    return CopySource(input=None, path=f"/{heredoc.name}", inline=InlineFile(heredoc.name, data))


def _finished(taking: Taking, *, parents: bool) -> Stage:
    node, words, stage = taking.node, taking.words, taking.stage
    for heredoc in node.heredocs:
        taking.shown.append(f"<<{heredoc.name}")
        taking.sources.append(_inline(words, heredoc))
    dest = words.word(node.dest)
    chown, chmod = words.word(node.chown), words.word(node.chmod)
    _check_chmod(chmod, node)
    link = node.link and not chmod
    _check_link_owner(chown, node, link=link)
    path, is_dir = destination(stage.cwd, dest)
    op = CopyOp(
        sources=tuple(taking.sources),
        dest=path,
        dest_is_dir=is_dir,
        chown=chown or None,
        chmod=chmod or None,
        link=link,
        parents=parents,
        excludes=node.excludes,
        add=isinstance(node, Add),
    )
    after = taking.work.extend(stage, op, tuple(taking.inputs), taking.display, node.span)
    text = _history(taking, parents=parents, chown=chown, chmod=chmod, dest=dest)
    return after.but(history=(*after.history, history.layer(text, after.tree)))


def destination(cwd: str, dest: str) -> tuple[str, bool]:
    """Where a destination is, and whether it was said to be a directory (a slash or `/.` at its end; "" and `.`)."""
    if dest in {"", "."}:
        return clean(cwd), True
    path = dest if dest.startswith("/") else f"{cwd}/{dest}"
    return clean(path), dest.endswith(("/", "/."))


def _check_chmod(chmod: str, node: Transfer) -> None:
    if not chmod or (_OCTAL.fullmatch(chmod) and int(chmod, 8) <= MAX_MODE):
        return
    if chmod[0] not in "0123456789" and all(_SYMBOLIC.fullmatch(part) for part in chmod.split(",")):
        return
    message = f"invalid chmod parameter: '{chmod}'. it should be octal string and between 0 and 07777"
    span = node.chmod.span if node.chmod is not None else node.span
    raise FaultError(message, span, "or symbolic, such as u=rwX,go=rX")


def _check_link_owner(chown: str, node: Transfer, *, link: bool) -> None:
    if link and chown and not _NUMERIC_OWNER.fullmatch(chown):
        span = node.chown.span if node.chown is not None else node.span
        message = f"invalid user index: -1: --link cannot look up the names of --chown={chown}"
        raise FaultError(message, span, "write numbers, such as --chown=1000:1000, or leave --link out")


def _history(taking: Taking, *, parents: bool, chown: str, chmod: str, dest: str) -> str:
    flags = ["--parents"] if parents else []
    flags += [f"--chown={chown}"] if chown else []
    flags += [f"--chmod={chmod}"] if chmod else []
    keyword = "ADD" if isinstance(taking.node, Add) else "COPY"
    return " ".join([keyword, *flags, *taking.shown, dest]) + history.LAYER_MARK
