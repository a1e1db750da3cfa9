"""The least that Flask can be: what the start of the product is compared with."""

from __future__ import annotations

from flask import Flask

app = Flask(__name__)


@app.get("/livez")
def livez() -> dict[str, str]:
    return {"status": "ok"}
