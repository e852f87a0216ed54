"""The handlers of the Lambda functions. docs/aws.md has the whole setup, and deploy/template.yaml deploys it.

    API Gateway ─► portal.handler       one call of the portal; API Gateway has verified the caller
                ─► dashboard.handler    one question of the dashboard, over the lake and the changes since
    schedule    ─► sweep.handler        one pass of the sweeper, and of the webhooks if there are any
                ─► lake.handler         one write of the lake; {"verify": true}: prove that it equals the table

A function takes its settings from the environment and creates no table. It makes its parts while Lambda initializes an
instance. They live on one event loop, which is paused between two events.
"""

import gc
from typing import Final

OBJECTS_BEFORE_COLLECTION: Final = 50_000
"""The new objects after which Python's garbage collector runs. By default it runs some seventy times while a function
loads its modules, although these stay in memory. Without these runs a cold start costs 7 % less processor time."""

gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
