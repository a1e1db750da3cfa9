"""The servers of a deployment: which primary has which keys, now and after a failover.

Begin with ``shard.py``. One module for each kind of deployment: a single server, Sentinels that
replace a primary, and a Cluster that spreads boards over several. ``services`` makes one of them.
"""
