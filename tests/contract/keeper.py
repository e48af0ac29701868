"""What every keeper promises to the driver: kept by the fake and by the real one."""

from __future__ import annotations

import threading
from typing import Protocol

import pytest

from jettison.base.errors import Cancelled, HostError, InputError
from jettison.sandbox import spec
from jettison.sandbox.client import Cancel, OnFrame
from jettison.sandbox.tier import NAMES, Tier


class AnyKeeper(Protocol):
    """The port."""

    @property
    def tier(self) -> Tier: ...

    def ask(
        self,
        request: spec.AnyRequest,
        on_frame: OnFrame | None = None,
        fds: tuple[int, ...] = (),
        cancel: Cancel | None = None,
    ) -> spec.AnyReply: ...

    def foresee_archives(self) -> None: ...

    def close(self) -> None: ...


class KeeperContract:
    """`keeper` is a fixture of the subclass; `request_of(script)` a RunRequest of a shell script: see SCRIPTS."""

    def request_of(self, script: str, user: str = "") -> spec.RunRequest:
        raise NotImplementedError

    def test_it_names_its_tier(self, keeper: AnyKeeper) -> None:
        assert keeper.tier.name in NAMES

    def test_the_last_reply_is_returned_after_all_output_in_lines(self, keeper: AnyKeeper) -> None:
        frames: list[spec.Output | spec.Note] = []
        reply = keeper.ask(self.request_of("echo one; echo two; exit 3"), frames.append)
        assert reply == spec.Ran(exit_code=3, changed=False)
        assert frames == [spec.Output(stream=1, data=b"one\n"), spec.Output(stream=1, data=b"two\n")]

    def test_output_may_be_ignored(self, keeper: AnyKeeper) -> None:
        assert keeper.ask(self.request_of("echo one; echo two; exit 3")) == spec.Ran(exit_code=3, changed=False)

    def test_a_failure_is_raised_by_its_kind(self, keeper: AnyKeeper) -> None:
        with pytest.raises(InputError, match="unable to find user nosuch"):
            keeper.ask(self.request_of("true", "nosuch"))

    def test_a_cancelled_request_raises_cancelled(self, keeper: AnyKeeper) -> None:
        cancel = threading.Event()
        with pytest.raises(Cancelled):
            keeper.ask(self.request_of("echo up; sleep 60"), lambda _: cancel.set(), cancel=cancel)
        assert keeper.ask(self.request_of("true")) == spec.Ran(exit_code=0, changed=False)

    def test_a_request_that_is_cancelled_beforehand_raises_cancelled(self, keeper: AnyKeeper) -> None:
        cancel = threading.Event()
        cancel.set()
        with pytest.raises(Cancelled):
            keeper.ask(self.request_of("true"), cancel=cancel)

    def test_what_on_frame_raises_comes_out(self, keeper: AnyKeeper) -> None:
        def fail(_: object) -> None:
            raise LookupError

        with pytest.raises(LookupError):
            keeper.ask(self.request_of("echo one; echo two; exit 3"), fail)

    def test_threads_may_ask_at_once(self, keeper: AnyKeeper) -> None:
        replies: list[spec.AnyReply] = []
        requests = [self.request_of("true") for _ in range(4)]
        threads = [threading.Thread(target=lambda r=r: replies.append(keeper.ask(r))) for r in requests]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert replies == [spec.Ran(exit_code=0, changed=False)] * 4

    def test_what_is_foreseen_changes_no_reply(self, keeper: AnyKeeper) -> None:
        keeper.foresee_archives()
        assert keeper.ask(self.request_of("true")) == spec.Ran(exit_code=0, changed=False)
        keeper.close()
        keeper.foresee_archives()

    def test_after_close_a_request_is_a_host_error(self, keeper: AnyKeeper) -> None:
        keeper.close()
        keeper.close()
        with pytest.raises(HostError, match="keeper"):
            keeper.ask(self.request_of("true"))
