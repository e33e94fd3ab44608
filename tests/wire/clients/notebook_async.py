"""A notebook's flow with the async client, as the SDK's own async example waits for a job: until SUCCESS.

    python notebook_async.py URL OPTIONS.json

OPTIONS as for notebook.py; what is printed too, less the cells that the example does not have.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from connect import Mistral, connect

UNDER_WAY = ["QUEUED", "STARTED", "VALIDATING", "VALIDATED", "RUNNING"]


async def upload(client: Mistral, path: str) -> Any:
    """Upload a file's bytes."""
    content = await asyncio.to_thread(Path(path).read_bytes)
    return await client.files.upload_async(file={"file_name": Path(path).name, "content": content})


async def wait(client: Mistral, job: Any, seen: list[str]) -> Any:
    """Poll as long as the job is under way, and start it where it waits for that."""
    while job.status in UNDER_WAY:
        await asyncio.sleep(0.05)
        job = await client.fine_tuning.jobs.get_async(job_id=job.id)
        seen.append(job.status)
        if job.status == "VALIDATED":
            job = await client.fine_tuning.jobs.start_async(job_id=job.id)
    return job


async def main() -> None:
    """Run the flow."""
    url, options = sys.argv[1], json.loads(await asyncio.to_thread(Path(sys.argv[2]).read_text))
    async with connect(url) as client:
        training, validation = await asyncio.gather(
            upload(client, options["train"]), upload(client, options["validation"])
        )
        created = await client.fine_tuning.jobs.create_async(
            model="ministral-3b-latest",
            job_type="classifier",
            training_files=[{"file_id": training.id, "weight": 1}],
            validation_files=[validation.id],
            hyperparameters={"training_steps": options["steps"], "learning_rate": options["rate"]},
            auto_start=False,
        )
        seen: list[str] = [created.status]
        finished = await wait(client, created, seen)
        rows = [json.loads(line) for line in (await asyncio.to_thread(Path(options["test"]).read_text)).splitlines()]
        calls = [
            client.classifiers.classify_async(model=finished.fine_tuned_model, inputs=[row["text"]]) for row in rows
        ]
        answers = await asyncio.gather(*calls)  # all at once: answers must not be mixed up
    scores = [{target: dict(found.scores) for target, found in answer.results[0].items()} for answer in answers]
    print(
        json.dumps({"created": created.model_dump(), "finished": finished.model_dump(), "seen": seen, "scores": scores})
    )


if __name__ == "__main__":
    asyncio.run(main())
