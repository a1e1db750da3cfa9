"""The routes of access: sessions, workers, tokens, badges and stations, and the audit trail.

Each module is one blueprint; ``create_app`` registers them.
"""
