"""Django views that start workflows with their transactions: once these are committed, or in the very same one.

python -m examples.django_orders     calls the views a few times, on a database of its own

In a project, settings, models, views and workflows stand in modules of their own, the views use a SyncClient, and a worker runs
beside them: `perdure worker shop.workflows:app --store sqlite:///shop.db`. Needs django.
"""
