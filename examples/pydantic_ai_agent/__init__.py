"""A Pydantic AI agent that survives the death of its process: each call of its model and of its tools is an activity.

The agent itself runs in the workflow. Killed in the middle it goes on where it was, and no answer of the model that was recorded is
asked for, or paid for, again. `durable.py` is what makes an agent so; `trips.py` has an agent.

python -m examples.pydantic_ai_agent

Needs pydantic-ai-slim.
"""
