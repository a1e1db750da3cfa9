"""The load: workers who send operations, and watchers who follow the boards, over HTTP."""
