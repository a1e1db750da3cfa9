"""What each application would make anew, though it is always the same: made once in a process.

Hundreds of tests make an application of their own. Three quarters of that is the compilation of
Werkzeug's rules and the compression of the assets, and both depend on nothing but their arguments.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule

from occupancy.web.ui.assets import Asset


def remember() -> None:
    """From now on, in all tests of this process."""
    compile_builder = Rule._compile_builder
    built: dict[Any, Callable[..., tuple[str, str]]] = {}

    def compile_builder_once(
        self: Rule, append_unknown: bool = True
    ) -> Callable[..., tuple[str, str]]:
        defaults = tuple(sorted((self.defaults or {}).items()))
        key = self.rule, tuple(self._trace), defaults, append_unknown
        if key not in built:
            built[key] = compile_builder(self, append_unknown)  # not bound to this rule yet
        return built[key]

    Rule._compile_builder = compile_builder_once  # type: ignore[method-assign] # see above
    Asset.of = functools.cache(Asset.of)  # type: ignore[method-assign] # see above
