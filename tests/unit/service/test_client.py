"""The client against a service that really listens, over plain HTTP and TLS."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import ipaddress
import socket
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from gallery_history import add_changes

from probefusion.errors import ConfigError, StoreError
from probefusion.gallery import Gallery
from probefusion.service import ServiceSettings
from probefusion.service.client import AsyncClient, Client, ServiceError, query_of
from probefusion.service.guards.access import new_key
from probefusion.types import Template

pytest.importorskip("uvicorn")


def embeddings_of(person: int, number: int = 4, seed: int = 0) -> np.ndarray:
    centre = np.random.default_rng(person).standard_normal(64)
    return centre + 0.4 * np.random.default_rng([person, seed]).standard_normal((number, 64))


@contextmanager
def serving(settings: ServiceSettings):
    """Serves in a thread; gives the port."""
    import uvicorn

    from probefusion.service.app import create_app
    from probefusion.service.processes.server import listening_socket

    listening = listening_socket(settings)
    config = uvicorn.Config(
        create_app(settings),
        log_level="critical",
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture
def settings(tmp_path) -> ServiceSettings:
    return ServiceSettings(gallery=str(tmp_path / "g.db"), fuser="mean", port=0)


def test_everything_that_a_client_does(settings) -> None:
    with serving(settings) as port:
        client = Client(f"http://127.0.0.1:{port}/")
        for person in range(3):
            added = client.enroll(f"p/{person} ü", embeddings=embeddings_of(person))
            assert added["total_images"] == 4
        assert list(client.people()) == ["p/0 ü", "p/1 ü", "p/2 ü"]
        found = client.search(embeddings=embeddings_of(1, 1, 9)[0], threshold=0.5)
        assert found["candidates"][0]["name"] == "p/1 ü"
        ids = {person["name"]: person["person_id"] for person in found["candidates"]}
        one = ids["p/1 ü"]
        assert client.person(one)["name"] == "p/1 ü"
        assert client.verify(one, embeddings=embeddings_of(1, 2, 9), threshold=0.5)["is_match"]
        assert client.update(one, embeddings=embeddings_of(1, 2, 9))["total_images"] == 6
        revision = client.remove(one)
        assert len(list(client.people())) == 2
        client.undo(revision)
        assert len(list(client.people())) == 3
        assert client.forget(one)["status"] in ("erased", "pending")
        assert np.linalg.norm(client.fuse(embeddings=embeddings_of(2))) == pytest.approx(
            1, abs=1e-6
        )
        with pytest.raises(ServiceError, match="unknown person") as refused:
            client.person(one)
        assert refused.value.status == 404
        client.close()


def test_names_with_slashes_are_reached_by_name_too(settings) -> None:
    with serving(settings) as port:
        client = Client(f"http://127.0.0.1:{port}")
        for name in ("Müller", "a/b/verify", "A & B?"):
            client.enroll(name, embeddings=embeddings_of(0))
            assert client.person(name)["name"] == name
            assert client.verify(name, embeddings=embeddings_of(0, 1, 2), threshold=0.5)["is_match"]
        with pytest.raises(ServiceError, match="unknown person"):
            client.person("no/body")
        client.close()


def test_a_name_that_no_path_can_say_never_means_somebody_else(settings) -> None:
    with serving(settings) as port, Client(f"http://127.0.0.1:{port}") as client:
        client.enroll("nobody", embeddings=embeddings_of(0))
        for call in (client.remove, client.person, client.ignore):
            with pytest.raises(ServiceError, match="unknown person of 'people' 'x/y'") as refused:
                call("x/y")
            assert refused.value.status == 404
        assert list(client.people()) == ["nobody"]


def test_every_other_call(settings) -> None:
    with serving(settings) as port, Client(f"http://127.0.0.1:{port}") as client:
        for person in range(3):
            client.enroll(f"p{person}", embeddings=embeddings_of(person), source="first")
        assert client.collections() == ["people"]
        assert client.stats()["num_images"] == 12
        merged = client.merge("p0", "p1")
        assert (merged["name"], merged["other"]) == ("p0", "p1")
        assert client.person("p0")["num_images"] == 8
        client.undo(merged["revision"])
        view = client.person("p0")
        part = view["contributions"][0]
        assert client.undo(client.remove_image(part["images"][0]["id"])) == 7
        assert client.undo(client.remove_contribution(part["id"])) == 9
        client.split("p0", "p0 b", images=[part["images"][0]["id"]])
        assert client.person("p0 b")["num_images"] == 1
        client.rename("p0 b", "p9")
        client.ignore("p9")
        assert client.person("p9")["is_ignored"]
        client.different("p0", "p9")
        assert client.person("p0")["different_from"] == ["p9"]
        held = client.update("p1", embeddings=embeddings_of(2, 4, 5))
        assert held["is_held"]
        assert [each["name"] for each in client.held()] == ["p1"]
        client.decide(held["contribution_id"], accept=False)
        assert client.held() == []
        actions = [change["action"] for change in client.changes(limit=3)]
        assert actions == ["reject", "hold", "cannot link"]
        made = [change["revision"] for change in client.changes(limit=None)]
        assert made == list(range(made[0], 0, -1))
        first, second = (query_of(embeddings=embeddings_of(0, 2, seed)) for seed in (7, 8))
        assert client.compare(first, second, threshold=0.5)["is_match"]
        told = client.explain("p2", embeddings=embeddings_of(2, 2, 7))
        assert told["name"] == "p2"
        with pytest.raises(ServiceError, match="none was kept"):
            client.chip(part["images"][1]["id"])
        session = client.open_session()
        added = client.add_images(session, embeddings=embeddings_of(2, 3, 9), sources=list("abc"))
        assert added["num_images"] == 3
        read = client.read_session(session, person="p2")
        assert {image["source"] for image in read["images"]} <= set("abc")
        assert read["beside"]["similarity"] > 0.7
        assert client.search(session=session)["candidates"][0]["name"] == "p2"
        template = Template(vector=client.fuse(session=session), num_images=3, fuser="mean")
        with pytest.raises(ServiceError, match=r"fuser|mean"):
            client.search(template=template)
        client.close_session(session)
        with pytest.raises(ServiceError, match="none of this id"):
            client.search(session=session)
        assert client.forget(image=part["images"][2]["id"])["status"] in ("erased", "pending")
        assert len(client.receipts()) == 1
        with pytest.raises(ServiceError, match="If-Match") as refused:
            client.call("POST", "/v1/collections/people/changes/1/undo", if_match='"1-dead"')
        assert refused.value.status == 412


def test_all_changes_are_read_in_parts(settings) -> None:
    with Gallery(settings.gallery, fuser="mean") as gallery:
        gallery.enroll("p0", embeddings_of(0))
        gallery.enroll("p1", embeddings_of(1))
        add_changes(gallery, 2500, of=tuple(gallery.person(name).id for name in ("p0", "p1")))

    def revisions(changes: list[dict]) -> list[int]:
        return [change["revision"] for change in changes]

    async def run(port: int) -> list[dict]:
        async with AsyncClient(f"http://127.0.0.1:{port}") as client:
            return await client.changes("p1", limit=None)

    with serving(settings) as port, Client(f"http://127.0.0.1:{port}") as client:
        assert revisions(client.changes(limit=None)) == list(range(2502, 0, -1))
        assert revisions(client.changes(limit=2001)) == list(range(2502, 501, -1))
        assert revisions(client.changes()) == list(range(2502, 2402, -1))
        assert revisions(client.changes("p0", limit=1001)) == list(range(2501, 500, -2))
        assert revisions(asyncio.run(run(port))) == [*range(2502, 2, -2), 2]
        with pytest.raises(ServiceError, match="limit"):
            client.changes(limit=0)


def test_both_clients_have_the_same_calls() -> None:
    def calls(kind: type) -> dict[str, list[str]]:
        functions = inspect.getmembers(kind, inspect.isfunction)
        return {
            name: list(inspect.signature(call).parameters)
            for name, call in functions
            if not name.startswith("_") and name != "close"
        }

    assert calls(AsyncClient) == calls(Client)
    assert len(calls(Client)) > 25


def test_calls_that_do_not_block(settings) -> None:
    async def run(port: int) -> list[str]:
        async with AsyncClient(f"http://127.0.0.1:{port}") as client:
            await asyncio.gather(
                *(client.enroll(f"p{k}", embeddings=embeddings_of(k)) for k in range(8))
            )
            found = await asyncio.gather(
                *(client.search(embeddings=embeddings_of(k, 2, 5)) for k in range(8))
            )
            assert [each["candidates"][0]["name"] for each in found] == [f"p{k}" for k in range(8)]
            return await client.people()

    with serving(settings) as port:
        assert asyncio.run(run(port)) == [f"p{person}" for person in range(8)]


def test_tls_and_keys(settings, tmp_path) -> None:
    certificate, key = self_signed(tmp_path)
    access = tmp_path / "keys.json"
    token = new_key(access, name="me", role="read")
    secured = ServiceSettings(
        gallery=settings.gallery,
        fuser="mean",
        port=0,
        tls_certificate=certificate,
        tls_key=key,
        access_file=access,
    )
    with serving(secured) as port:
        url = f"https://127.0.0.1:{port}"
        client = Client(url, key=token, certificate=certificate)
        assert list(client.people()) == []
        with pytest.raises(ServiceError, match="this needs 'write'"):
            client.enroll("ann", embeddings=embeddings_of(0))
        client.close()
        forged = Client(url, key=token[:-1] + "_", certificate=certificate)
        with forged, pytest.raises(ServiceError, match="expected a key that is valid"):
            list(forged.people())
        unsure = Client(url, key=token)  # nobody vouches for the certificate
        with unsure, pytest.raises(StoreError, match="cannot be reached"):
            list(unsure.people())


def test_what_a_client_refuses(settings) -> None:
    with pytest.raises(ConfigError, match="url: expected http"):
        Client("ftp://host")
    client = Client("http://127.0.0.1:1")
    with pytest.raises(ConfigError, match="query: expected one of"):
        client.search()
    with pytest.raises(StoreError, match="cannot be reached"):
        client.search(embeddings=embeddings_of(0))


def test_a_port_that_is_taken(settings) -> None:
    from probefusion.service.processes.server import listening_socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StoreError, match="cannot listen there"):
            listening_socket(ServiceSettings(gallery="g.db", port=port))
    with pytest.raises(ConfigError, match="host: expected an address or a name"):
        listening_socket(
            ServiceSettings(
                gallery="g.db", host="no.such.host.invalid", access_file=settings.gallery
            )
        )


def self_signed(folder):
    """A certificate for 127.0.0.1 and its key, as files."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "chain.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths
