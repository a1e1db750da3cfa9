"""Keys typed like a scanner's, at any speed, on a machine of any speed."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from playwright.sync_api import CDPSession, Error, Page

Stroke = tuple[str, str, bool]  # what the page's layout writes, the key's place, with Shift or not

_PLACES = {":": "Semicolon", "/": "Slash", "-": "Minus", ".": "Period", "]": "BracketRight",
           " ": "Space", "%": "Digit5", "#": "Digit3"}  # fmt: skip
_SUFFIXES: dict[str, dict[str, Any]] = {
    "Enter": {"code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13},
    "Tab": {"code": "Tab", "windowsVirtualKeyCode": 9},
}
_SILENCE_MS = 1000  # of the page's time; the scanner's rules look back at most 700 ms


def stroke(sign: str) -> Stroke:
    """How a scanner with a US keyboard types a sign."""
    if sign.isdigit():
        return sign, f"Digit{sign}", False
    return sign, _PLACES.get(sign) or f"Key{sign.upper()}", sign.isupper() or sign in ":%#"


def scan(page: Page, text: str, speed_ms: float = 5, suffix: str = "Enter") -> None:
    """Type as a scanner does, after silence and before silence."""
    scan_strokes(page, [stroke(sign) for sign in text], speed_ms, suffix)


def scan_strokes(page: Page, strokes: list[Stroke], speed_ms: float, suffix: str = "Enter") -> None:
    """The browser gets all keys at once, each with the time when it was pressed.

    So the speed is what it should be, however busy the machine is: no answer is waited for
    between two keys, and the last of them was pressed just now.
    """
    events: list[dict[str, Any]] = []
    for key, code, is_shifted in strokes:
        event: dict[str, Any] = {"key": key, "code": code, "modifiers": 8 if is_shifted else 0}
        events += [{"type": "keyDown", "text": key, **event}, {"type": "keyUp", **event}]
    if suffix:
        event = {"key": suffix, **_SUFFIXES[suffix]}
        events += [{"type": "keyDown", **event}, {"type": "keyUp", **event}]
    last_s = time.time() - (len(events) - 1) * speed_ms / 2000
    for number, event in enumerate(events):
        event["timestamp"] = last_s + number * speed_ms / 2000
    _send(page, events)
    try:
        page.evaluate("ms => new Promise((done) => { setTimeout(done, ms); })", _SILENCE_MS)
    except Error as error:
        if "Execution context was destroyed" not in error.message:
            raise
        # The scan has led to another page, where no key has been pressed yet.


def send_at_once(session: CDPSession, method: str, events: list[dict[str, Any]]) -> None:
    """Send all before the page answers the first."""
    wire = session._impl_obj

    async def send_all() -> None:
        await asyncio.gather(*(wire.send(method, event, timeout=None) for event in events))

    session._sync(send_all())


def _send(page: Page, events: list[dict[str, Any]]) -> None:
    session = page.context.new_cdp_session(page)
    send_at_once(session, "Input.dispatchKeyEvent", events)
    session.detach()
