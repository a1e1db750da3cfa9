"""What happened on the boards over time: for charts, and for a worker's own day.

Imports core and storage, and the log of ``boards``. Begin with ``timeline`` or ``workday``.
"""
