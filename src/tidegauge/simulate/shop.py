"""The five services of the shop and the resource each reports as (semantic conventions, "Service" and "Deployment")."""

from __future__ import annotations

from dataclasses import dataclass

NAMESPACE = "shop"
ENVIRONMENT = "demo"
SCHEMA_URL = "https://opentelemetry.io/schemas/1.37.0"


@dataclass(frozen=True, slots=True)
class Service:
    """One process of the shop. ``memory_bytes`` is what it needs when idle."""

    name: str
    version: str
    port: int
    memory_bytes: int

    @property
    def instance(self) -> str:
        """``service.instance.id``: the same after a restart, as with a Kubernetes StatefulSet."""
        return f"{self.name}-0"

    def resource(self) -> dict[str, str]:
        """Resource attributes, without those of the SDK."""
        return {
            "service.name": self.name,
            "service.namespace": NAMESPACE,
            "service.version": self.version,
            "service.instance.id": self.instance,
            "deployment.environment.name": ENVIRONMENT,
            "host.name": f"{self.name}.{NAMESPACE}.internal",
        }


FRONTEND = Service("frontend", "2.4.1", 8080, 96 << 20)
CART = Service("cart", "1.8.0", 8081, 64 << 20)
CHECKOUT = Service("checkout", "3.0.2", 8082, 112 << 20)
PAYMENT = Service("payment", "1.1.7", 8083, 80 << 20)
INVENTORY = Service("inventory", "5.2.0", 8084, 144 << 20)
SERVICES = (FRONTEND, CART, CHECKOUT, PAYMENT, INVENTORY)

PRODUCTS = ("OLJCESPC7Z", "66VCHSJNUP", "1YMWWN1N4O", "L9ECAV7KIM", "2ZYFJ3GM2N", "LS4PSXUNUM", "9SIQT8TOJO")
USER_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36",
    "shop-app/7.3 (Android 15)",
)
