"""The routes of access: sessions, workers, badges, stations, tokens, and the audit trail.

Each module is one blueprint; ``create_app`` registers them.
"""
