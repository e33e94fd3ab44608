"""Classify whole chats: who said what counts. Run: python examples/chats.py

A chat is a list of messages, as chat APIs have it. Two targets here: what the customer wants (one label), and how the
chat went (any number of labels). 24 chats are enough to try it, not to rely on it.
"""

import tamis


def chat(*turns: str) -> list[dict[str, str]]:
    """Messages of the user and the assistant, in turns."""
    return [{"role": ("user", "assistant")[place % 2], "content": turn} for place, turn in enumerate(turns)]


CHATS = [
    (chat("Where is my order?", "It left our warehouse today.", "Great, thanks!"), "delivery", ["solved"]),
    (chat("My parcel is a week late.", "I am sorry.", "Sorry does not bring it here!"), "delivery", ["angry"]),
    (chat("When will the sofa arrive?", "On Friday.", "Perfect, thank you."), "delivery", ["solved"]),
    (chat("The courier never rang.", "They say they did.", "That is a lie!"), "delivery", ["angry"]),
    (chat("Has my package been shipped?", "Let me look."), "delivery", []),
    (chat("Can I track the delivery?", "Yes, with this link.", "Works, thanks!"), "delivery", ["solved"]),
    (chat("Still no parcel. Third time I ask!", "Please wait.", "Enough, I am furious."), "delivery", ["angry"]),
    (chat("Which day does the driver come?", "I will ask the depot."), "delivery", []),
    (chat("I was charged twice.", "We have refunded one.", "Wonderful, thanks."), "payment", ["solved"]),
    (chat("Why is my card declined?", "Please ask your bank."), "payment", []),
    (chat("You took 80 euros too much!", "It is the price.", "This is robbery!"), "payment", ["angry"]),
    (chat("Can I have an invoice?", "It is in your mail.", "Found it, thank you!"), "payment", ["solved"]),
    (chat("The voucher does not work.", "It has expired.", "Nobody told me. Outrageous!"), "payment", ["angry"]),
    (chat("Can I pay in instalments?", "Yes, in three.", "Lovely, thanks."), "payment", ["solved"]),
    (chat("When is the refund on my account?", "I have to check that."), "payment", []),
    (chat("My bank shows a payment I do not know.", "I will look into it."), "payment", []),
    (chat("I cannot log in.", "I have reset it.", "Now it works, thank you!"), "account", ["solved"]),
    (chat("How do I change my password?", "Under Settings.", "Done, thanks."), "account", ["solved"]),
    (chat("Delete my account.", "Are you sure?", "For the tenth time: yes! Incredible."), "account", ["angry"]),
    (chat("My email address has changed.", "What is the new one?"), "account", []),
    (chat("I am locked out again!", "Try later.", "You are useless, all of you!"), "account", ["angry"]),
    (chat("The code for signing in does not come.", "I send it again.", "There it is, thanks."), "account", ["solved"]),
    (chat("Can two people use one account?", "I will ask."), "account", []),
    (chat("Where do I see my profile?", "At the top right."), "account", []),
]

chats = [messages for messages, _, _ in CHATS]
labels = {"about": [about for _, about, _ in CHATS], "course": [course for _, _, course in CHATS]}
model = tamis.train((chats, labels), name="chats")
model.save("chats-model", overwrite=True)

for new in (
    chat("My parcel has not come.", "It comes tomorrow.", "Thanks, that works."),
    chat("Why do you charge me for shipping?", "It is in the terms.", "What a rip-off! Outrageous!"),
):
    answers = model.classify(new)
    about = max(answers["about"].scores, key=answers["about"].scores.get)
    course = {label: round(score, 2) for label, score in answers["course"].scores.items()}
    print(f"{new[0]['content']}\n  about   {about} ({answers['about'].scores[about]:.0%})\n  course  {course}")
