"""What the product survives, shown on real servers by ``bin/prove``.

``failover/`` promotes replicas under load; begin with ``failover/round.py``. ``deployment/`` is
what runs, and ``load/`` who uses it. Servers are started with the helpers of the tests.
"""
