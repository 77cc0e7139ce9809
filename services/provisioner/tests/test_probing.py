"""The look at a console over TLS, at a real server with a certificate of our own."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from catalyst_provisioner.probing import get
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NAME = "console.omantel.example"


def certificate(folder: Path) -> tuple[Path, datetime]:
    """File with key and certificate for NAME, and when that ends."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    ends = (now + timedelta(days=30)).replace(microsecond=0)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "both.pem").write_bytes(made.public_bytes(pem) + secret)
    return folder / "both.pem", ends


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[int, Path, datetime]]:
    file, ends = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], file, ends


async def test_a_console_is_asked_at_its_address_by_its_name_and_tells_when_its_certificate_ends(
    served: tuple[int, Path, datetime],
) -> None:
    port, file, ends = served
    seen = await get(NAME, "127.0.0.1", "https", port, file)
    assert (seen["status"], datetime.fromisoformat(seen["tls_until"])) == (200, ends)


async def test_another_name_or_an_unknown_issuer_is_no_answer(served: tuple[int, Path, datetime]) -> None:
    port, file, _ = served
    assert (await get("console.other.example", "127.0.0.1", "https", port, file))["status"] == 0
    assert (await get(NAME, "127.0.0.1", "https", port))["status"] == 0
