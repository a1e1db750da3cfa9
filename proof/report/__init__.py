"""The page docs/reliability.md, made from the counts. Begin with ``page.py``."""
