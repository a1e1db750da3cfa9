"""What an operator sees: log lines, the audit log, metrics, and the reports of all processes.

May import core and storage. Begin with ``log_lines`` (the log), ``audit_log`` (who signed in, what
was denied) or ``metrics`` (Prometheus); ``process_report`` gathers one process's figures.
"""
