"""Certificates for servers on loopback."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path


def tls_contexts(
    directory: Path, names: str = "DNS:localhost,IP:127.0.0.1"
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's context, for a new certificate of `names`, and a client's that trusts it.

    Takes the `openssl` command; `directory` keeps the key and the certificate.
    """
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    options = ["-subj", "/CN=fault server", "-addext", f"subjectAltName={names}"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *options, *files], check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    return server, ssl.create_default_context(cafile=str(certificate))
