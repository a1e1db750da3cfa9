"""The texts of /docs: code between grave accents, and everything else as it is, never markup."""

from __future__ import annotations

from occupancy.web.routes.docs import prose


def test_what_looks_like_markup_is_text_also_in_code() -> None:
    assert prose("a <b>\"c\"</b> & `<i>'x'</i>`") == (
        "a &lt;b&gt;&#34;c&#34;&lt;/b&gt; &amp; <code>&lt;i&gt;&#39;x&#39;&lt;/i&gt;</code>"
    )


def test_grave_accents_make_code_and_empty_lines_make_breaks() -> None:
    assert prose("Send `take`.\n\nThen `pause`.") == (
        "Send <code>take</code>.<br>Then <code>pause</code>."
    )
