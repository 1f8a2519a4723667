"""A shop's review endpoints, tested in tests/recipes: `fastapi dev examples/fastapi_app.py`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

import mayar_reviews as mayar


class ReviewOut(BaseModel):  # what buyers may see
    id: str
    rating: int
    message: str | None = None
    created_at: datetime = Field(validation_alias="createdAt")


class ReviewIn(BaseModel):
    customer_email: str  # in a real shop, take it from the login instead
    rating: int
    message: str | None = None


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
    async with mayar.ReviewsClient(deadline=5.0) as client:  # an answer or an error in 5 s
        yield {"client": client}


def get_client(request: Request) -> Any:
    return request.state.client


Client = Annotated[mayar.ReviewsClient, Depends(get_client)]
app = FastAPI(lifespan=lifespan)


@app.exception_handler(mayar.MayarError)
async def explain(_: Request, error: mayar.MayarError) -> JSONResponse:
    if isinstance(error, mayar.InvalidArgumentError):
        return JSONResponse({"detail": str(error)}, 422)
    # Not bought; no such product; already reviewed.
    if isinstance(error, mayar.PermissionDeniedError | mayar.NotFoundError | mayar.ConflictError):
        return JSONResponse({"detail": str(error)}, error.status_code)
    return JSONResponse({"detail": "reviews are not available right now"}, 503)


@app.get("/products/{product}/reviews", response_model=list[ReviewOut])
async def read(product: str, client: Client) -> Any:
    return [review.to_dict() for review in (await client.list_product_reviews(product)).data]


@app.post("/products/{product}/reviews", response_model=ReviewOut, status_code=201)
async def create(product: str, new: ReviewIn, client: Client) -> Any:
    return (await client.create_review(payment_link_id=product, **new.model_dump())).to_dict()
