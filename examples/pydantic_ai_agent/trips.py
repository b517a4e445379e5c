"""An agent that books trips. Its model is played by a function; in its place stands yours: `infer_model("openai:gpt-…")`."""

from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from examples.pydantic_ai_agent.durable import DurableModel, durable_tool
from perdure import App, Context, activity, workflow


def play_model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Looks for flights, books the first one, and says so."""
    found: list[Any] = [part.content for each in messages for part in each.parts if isinstance(part, ToolReturnPart)]
    if not found:
        return ModelResponse(parts=[ToolCallPart("find_flights", {"city": "Porto"})])
    if len(found) == 1:
        return ModelResponse(parts=[ToolCallPart("book", {"flight": found[0][0]})])
    return ModelResponse(parts=[TextPart(f"You fly: {found[1]}")])


@activity
async def find_flights(city: str) -> list[str]:
    """Flights to a city."""
    return [f"TP 1926 to {city}", f"FR 2711 to {city}"]


@activity
async def book(flight: str) -> str:
    """Book a flight."""
    return f"{flight} is booked"


model = DurableModel(FunctionModel(play_model))
agent = Agent(model, tools=[durable_tool(find_flights), durable_tool(book)])


@workflow(determinism="lenient")  # messages have times and ids in them, which are others in replay
async def plan_trip(ctx: Context, wish: str) -> str:
    return (await agent.run(wish)).output


app = App(workflows=[plan_trip], activities=[model, find_flights, book])
