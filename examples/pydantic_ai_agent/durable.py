"""Models and tools of Pydantic AI as activities, for agents that run in workflows."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from pydantic import BaseModel
from pydantic_ai import Tool
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from perdure import RetryPolicy, activity, workflow_context

P = ParamSpec("P")
R = TypeVar("R")


class Question(BaseModel):
    messages: list[ModelMessage]
    settings: dict[str, Any] | None
    """A ModelSettings, of which pydantic can't read all that may be in it."""
    parameters: ModelRequestParameters


class Answer(BaseModel):
    response: ModelResponse


class DurableModel(WrapperModel):
    """Asks the wrapped model by an activity. Register it: `App(activities=[model])`."""

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        settings = cast("dict[str, Any] | None", model_settings)
        question = Question(messages=messages, settings=settings, parameters=model_request_parameters)
        return (await workflow_context().execute_activity(self.ask, question)).response

    @activity(name="ask_model", timeout=300, retry=RetryPolicy(max_attempts=5))
    async def ask(self, question: Question) -> Answer:
        settings = cast("ModelSettings | None", question.settings)
        return Answer(response=await self.wrapped.request(question.messages, settings, question.parameters))


def durable_tool(step: Callable[P, Coroutine[Any, Any, R]]) -> Tool[Any]:
    """An activity as a tool of an agent: it has its name, its parameters and its description."""
    function: Callable[P, Coroutine[Any, Any, R]] = getattr(step, "function", step)

    @wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return await workflow_context().execute_activity(step, *args, **kwargs)

    return Tool(call, takes_ctx=False)
