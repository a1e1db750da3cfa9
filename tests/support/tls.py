"""A deployment whose gunicorn speaks TLS itself, with a certificate of its own."""

from __future__ import annotations

import socket
import ssl
import subprocess
from pathlib import Path

from tests.support.deployment import Deployment
from tests.support.raw_http import received_until


def make_certificate(key: Path, certificate: Path) -> None:
    """Needs ``openssl``."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost"]
    command += ["-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)


class TLSDeployment(Deployment):
    """Needs ``openssl``."""

    def __init__(self, directory: Path, redis_url: str) -> None:
        key, certificate = directory / "key.pem", directory / "certificate.pem"
        make_certificate(key, certificate)
        arguments = ("--keyfile", str(key), "--certfile", str(certificate))
        super().__init__(directory / "state", redis_url, *arguments)
        self._context = ssl.create_default_context(cafile=str(certificate))

    def connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        return self._context.wrap_socket(plain, server_hostname="localhost")

    def status_of(self, path: str) -> int:
        try:
            with self.connect() as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                return int(received_until(connection, b"\r\n").split()[1])
        except OSError:
            return 0
