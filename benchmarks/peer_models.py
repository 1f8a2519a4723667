"""The models that a user of pydantic, or of a Stainless-made SDK, would write for reviews."""

from datetime import datetime
from importlib import import_module
from typing import Any


def page_model() -> Any:
    """The class of a page of reviews, by pydantic."""
    pydantic: Any = import_module("pydantic")
    return pydantic.create_model(
        "Page",
        data=(list[review_model(pydantic.BaseModel)], ...),  # type: ignore[misc]
        hasMore=(bool, ...),
        nextStartingAfter=(str | None, ...),
    )


def review_model(base: Any) -> Any:
    """The class of a review, made of `base`: pydantic's `BaseModel` or one derived from it."""
    pydantic: Any = import_module("pydantic")
    to_camel = import_module("pydantic.alias_generators").to_camel

    class Model(base):  # type: ignore[misc]
        model_config = pydantic.ConfigDict(alias_generator=to_camel)

    class Image(Model):
        id: str | None = None
        file_type: str | None = None
        description: str | None = None
        url: str | None = None

    class File(Model):
        id: str | None = None
        filename: str | None = None
        mimetype: str | None = None
        size: int | None = None

    class Content(Model):
        id: str | None = None
        value: str | None = None
        file: File | None = None

    class Customer(Model):
        id: str | None = None
        name: str | None = None

    class PaymentLink(Model):
        id: str | None = None
        name: str | None = None
        type: str | None = None
        link: str | None = None
        sub_type: str | None = None

    class Review(Model):
        id: str
        payment_link_id: str
        customer_id: str
        user_id: str
        rating: int
        status: str
        created_at: datetime
        updated_at: datetime
        message: str | None = None
        multiple_image: list[Image] | None = None
        content: list[Content] | None = None
        customer: Customer | None = None
        payment_link: PaymentLink | None = None

    return Review
