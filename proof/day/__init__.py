"""A day's work in accelerated time, and whether memory is flat meanwhile.

Begin with ``run.py``. Only the load's clock is accelerated. The product's own times are real: a
session's idle time, heartbeats, how long an idempotency record is kept.
"""
