"""A typed client of the service, of the standard library alone; `AsyncClient` does the same without blocking.

Example:
    client = Client("http://127.0.0.1:8470", key="pf_...")
    client.enroll("Ann", embeddings=array)
    print(client.search(embeddings=array)["candidates"][0])
"""

from probefusion.service.client.asynchronous import AsyncClient
from probefusion.service.client.blocking import Client
from probefusion.service.client.connection import ServiceError
from probefusion.service.client.queries import query_of

__all__ = ["AsyncClient", "Client", "ServiceError", "query_of"]
