"""A TCP proxy on loopback that delays, cuts, resets and holds connections and loses answers.

Begin with ``mode.py``, what it can do; ``proxy.py`` is what a caller holds, ``relay.py`` what runs
in the proxy's own process. It knows neither HTTP nor Redis, only requests and answers.
"""
