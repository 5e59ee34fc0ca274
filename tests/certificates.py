"""Throw-away certificates for TLS and mTLS, made by `openssl`: an authority, a server, a client."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CURVE: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")

# What a strict verifier (Python 3.13's default) asks of a certificate.
_LEAF: Final = """basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files."""

    ca: Path
    server_cert: Path
    server_key: Path
    client_cert: Path
    client_key: Path
    expired_cert: Path
    """Of the server, good until yesterday."""
    misnamed_cert: Path
    """With the server's key, for another host."""


def make_certificates(directory: Path) -> Certificates:
    """An authority and what it signed, good for a day but for one, in `directory`, which exists."""
    ca, ca_key = directory / "ca.pem", directory / "ca.key"
    _openssl(
        *("req", "-x509", *_CURVE, "-subj", "/CN=authority of the tests", "-days", "1"),
        *("-addext", "keyUsage = critical, keyCertSign, cRLSign"),
        *("-keyout", str(ca_key), "-out", str(ca)),
    )
    for name, extension in (
        ("server", "extendedKeyUsage = serverAuth\nsubjectAltName = DNS:localhost, IP:127.0.0.1\n"),
        ("client", "extendedKeyUsage = clientAuth\n"),
    ):
        request, extensions = directory / f"{name}.csr", directory / f"{name}.ext"
        extensions.write_text(_LEAF + extension)
        _openssl(
            *("req", "-new", *_CURVE, "-subj", f"/CN={name}"),
            *("-keyout", str(directory / f"{name}.key"), "-out", str(request)),
        )
        _openssl(
            *("x509", "-req", "-in", str(request), "-days", "1", "-extfile", str(extensions)),
            *("-CA", str(ca), "-CAkey", str(ca_key), "-CAcreateserial"),
            *("-out", str(directory / f"{name}.pem")),
        )
    _openssl(
        *("x509", "-req", "-in", str(directory / "server.csr"), "-days", "-1"),
        *("-extfile", str(directory / "server.ext"), "-CA", str(ca), "-CAkey", str(ca_key)),
        *("-CAcreateserial", "-out", str(directory / "expired.pem")),
    )
    (directory / "misnamed.ext").write_text(
        f"{_LEAF}extendedKeyUsage = serverAuth\nsubjectAltName = DNS:elsewhere.example\n"
    )
    _openssl(
        *("x509", "-req", "-in", str(directory / "server.csr"), "-days", "1"),
        *("-extfile", str(directory / "misnamed.ext"), "-CA", str(ca), "-CAkey", str(ca_key)),
        *("-CAcreateserial", "-out", str(directory / "misnamed.pem")),
    )
    return Certificates(
        ca=ca,
        server_cert=directory / "server.pem",
        server_key=directory / "server.key",
        client_cert=directory / "client.pem",
        client_key=directory / "client.key",
        expired_cert=directory / "expired.pem",
        misnamed_cert=directory / "misnamed.pem",
    )


def _openssl(*arguments: str) -> None:
    # S603, S607: the words are ours, and the openssl that PATH has is the one wanted.
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")
