"""The smallest Flask application; the start of the product is compared with its start."""

from __future__ import annotations

from flask import Flask

app = Flask(__name__)


@app.get("/livez")
def livez() -> dict[str, str]:
    return {"status": "ok"}
