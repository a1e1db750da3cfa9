"""Sheets of labels with QR codes: sheet.py lays them out, lines.py wraps their texts. Pure."""
