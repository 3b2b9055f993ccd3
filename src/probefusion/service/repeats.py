"""Idempotency keys: a request that is sent again, because the answer was lost, is answered again and not done twice."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from probefusion.errors import ProbeFusionError
from probefusion.service.problems import code_of, problem
from probefusion.service.shared.answers import Answers, Asked, Found, KeptAnswer, State
from probefusion.service.targets import Changes, Target, is_forgetting, target_of

__all__ = ["Repeats"]

_log = logging.getLogger("probefusion.service")

_HEADER = b"idempotency-key"
_LARGEST_ANSWER = 64_000
_LONGEST_KEY = 256
_NOT_BEGUN = frozenset({"busy", "gone", "store-busy", "unsupported-operation", "missing-extra"})
"""Problems that say of themselves that nothing was changed: such a request may simply be sent again."""

T = TypeVar("T")


class Repeats:
    """Middleware behind the gate; keeps answers that changed something for a day.

    A request whose process ended before it could answer is done anew, if the gallery says that it changed nothing;
    if its caller made changes since, it is refused, and the answer says which.

    Args:
        app: What is behind it.
        answers: Where answers are kept.
        changes: What is known of the gallery.
    """

    def __init__(self, app: ASGIApp, answers: Answers, changes: Changes) -> None:
        self._app, self._answers, self._changes = app, answers, changes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection, as ASGI says."""
        headers = dict(scope["headers"]) if scope["type"] == "http" else {}
        key = headers.get(_HEADER)
        target = target_of(scope) if scope["type"] == "http" else None
        if target is None:
            await self._app(scope, receive, send)
        elif key is None:
            await self._app(scope, receive, send)
            await self._drop_forgotten(scope, target, None)
        else:
            await self._with_key(key, target, scope, receive, send)

    async def _with_key(
        self, key: bytes, target: Target, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if not 0 < len(key) <= _LONGEST_KEY:
            await _refusal(f"expected 1 to {_LONGEST_KEY} characters.")(scope, receive, send)
            return
        message = await receive()
        given = _again(message, receive)
        try:
            answer = await self._answer(scope, message.get("body", b""), key, target)
        except ProbeFusionError as error:
            _log.error("idempotency keys cannot be looked up: %s", error)
            answer = problem(
                503,
                "what was done already cannot be looked up, so nothing is done. Try again soon.",
                code="store",
                headers={"Retry-After": "1"},
            )
        if isinstance(answer, Asked):
            await self._first(answer, scope, given, send)
            await self._drop_forgotten(scope, target, answer)
        else:
            await (answer or self._app)(scope, given, send)

    async def _answer(
        self, scope: Scope, body: bytes, key: bytes, target: Target
    ) -> Asked | ASGIApp | None:
        """What is done now; or the answer; or None where the application answers (and refuses)."""
        authorization = dict(scope["headers"]).get(b"authorization", b"")
        caller = authorization.decode("latin-1")
        revision, request = await _in_thread(
            lambda: (self._changes.revision_of(caller, target), _hash_of(scope, body))
        )
        if revision is None:
            return None
        asked = Asked(
            caller=authorization,
            key=key,
            request=request,
            collection=target.collection,
            revision=revision,
        )
        address = scope["client"][0] if scope.get("client") else ""
        found = await _in_thread(lambda: self._answers.begin(asked))
        if found.state is State.FIRST:
            return asked
        if not await _in_thread(lambda: self._changes.may_repeat(caller, target, address)):
            return None
        if found.state is State.LOST:
            made = await _in_thread(
                lambda: self._changes.changes_since(caller, target, found.revision)
            )
            if made:
                return _unknown(made)
            found = await _in_thread(lambda: self._answers.take_over(asked))
            if found.state is State.FIRST:
                return asked
        if found.answer is not None and not is_forgetting(scope, target):
            since = found.revision
            if await _in_thread(lambda: self._changes.has_forgotten_since(target, since)):
                await self._try(lambda: self._answers.drop_answers_of(target.collection))
                return _told_before("somebody was forgotten since, so its answer is not told again")
        return _repeated(found)

    async def _first(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        """Has a request answered; the answer is kept before it is sent."""
        messages: list[Message] = []
        is_kept = False

        async def keeping(message: Message) -> None:
            nonlocal is_kept
            messages.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                is_kept = await self._keep(asked, messages)
                for part in messages:
                    await send(part)
                messages.clear()

        try:
            await self._app(scope, receive, keeping)
        finally:
            if not is_kept:  # it failed, or was given up half-way
                await self._try(lambda: self._answers.lose(asked))

    async def _keep(self, asked: Asked, messages: Sequence[Message]) -> bool:
        status = int(messages[0]["status"])
        body = b"".join(part.get("body", b"") for part in messages[1:])
        if status >= 500 and code_of(body) not in _NOT_BEGUN:
            return False
        if not 200 <= status < 300:
            return await self._try(lambda: self._answers.give_up(asked))
        answer = KeptAnswer(
            status=status,
            headers=tuple((bytes(name), bytes(value)) for name, value in messages[0]["headers"]),
            body=body if len(body) <= _LARGEST_ANSWER else None,
        )
        return await self._try(lambda: self._answers.keep(asked, answer))

    async def _drop_forgotten(self, scope: Scope, target: Target, asked: Asked | None) -> None:
        """Answers that speak of somebody who is forgotten now are forgotten too."""
        if is_forgetting(scope, target):
            besides = b"" if asked is None else asked.name
            collection = target.collection
            await self._try(lambda: self._answers.drop_answers_of(collection, besides=besides))

    async def _try(self, what: Callable[[], None]) -> bool:
        """Whether it could be noted; the request was done, whatever becomes of the note."""
        try:
            await _in_thread(what)
        except ProbeFusionError as error:
            _log.error("what became of a request could not be noted: %s", error)
            return False
        return True


async def _in_thread(what: Callable[[], T]) -> T:
    """In a thread of its own: those of the application may all be at work."""
    return await to_thread.run_sync(what, limiter=CapacityLimiter(1))


def _hash_of(scope: Scope, body: bytes) -> bytes:
    path = scope["path"].encode() + b"?" + scope["query_string"]
    parts = (scope["method"].encode(), path, hashlib.sha256(body).digest())
    return hashlib.sha256(b"\x00".join(parts)).digest()


def _refusal(detail: str) -> ASGIApp:
    return problem(422, f"Idempotency-Key: {detail}", code="idempotency-key")


def _repeated(found: Found) -> ASGIApp:
    """The answer to a request that is known."""
    if found.state is State.OTHER:
        return _refusal("it was used for another request. Take a new one for each request.")
    if found.answer is None:
        return problem(
            409,
            "Idempotency-Key: the first request with it is still under way. Try again soon.",
            code="idempotency-key",
            headers={"Retry-After": "1"},
        )
    kept = found.answer
    if kept.body is None:
        return _told_before("its answer was too large to be kept")

    async def send_again(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [*kept.headers, (b"idempotency-replayed", b"true")]
        await send({"type": "http.response.start", "status": kept.status, "headers": headers})
        await send({"type": "http.response.body", "body": kept.body or b""})

    return send_again


def _told_before(why_not_again: str) -> ASGIApp:
    return problem(
        409,
        f"Idempotency-Key: it was done, and {why_not_again}. Read the collection instead.",
        code="idempotency-done",
    )


def _unknown(made: str) -> ASGIApp:
    return problem(
        409,
        f"Idempotency-Key: the process that answered ended before it could tell whether it was done. Your changes "
        f"since: {made}. Look whether it is among them; if not, send it with a new key.",
        code="idempotency-unknown",
    )


def _again(message: Message, receive: Receive) -> Receive:
    waiting = [message]

    async def give() -> Message:
        return waiting.pop() if waiting else await receive()

    return give
