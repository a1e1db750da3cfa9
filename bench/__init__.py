"""The benchmark: the real server under load, in one run. ``python -m bench``; see README.md."""
