"""Makes the training file: bills in common layouts, to be extracted as JSON.

    python examples/extraction/make_data.py

Writes train.jsonl beside this file. Seeded: the same script always writes the same bytes. The golden set
golden/bills.yaml has vendors and layouts of its own.
"""

import json
import random
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path

HERE = Path(__file__).parent
SEED = 11
ROWS = 300
INSTRUCTION = "Read this bill. Answer as JSON with keys vendor, invoice, date, total, currency."

VENDORS = [
    vendor.strip()
    for vendor in """
Alder & Sons, Bluefin Logistics, Brightwater Energy, Cobalt Printing, Corner Bakery, Delta Plumbing,
Eastgate Dental, Elm Street Garage, Falcon Couriers, Ferris Optics, Glasshouse Media, Greenfield Farm,
Harbour Storage, Hillside Veterinary, Ironbridge Tools, Juniper Catering, Kestrel Roofing, Lakeside Hotel,
Lumen Electrics, Maple Furniture, Marlow Books, Meridian Travel, Northwind Heating, Oakwood School,
Orchid Florists, Pebble Design, Pinecone Software, Quarry Stone, Redbrick Properties, Riverside Gym,
Saffron Kitchen, Silverline Telecom, Sparrow Cleaning, Summit Insurance, Thistle Landscaping, Tower Parking,
Umbra Photography, Valley Water, Whitby Seafood, Zenith Legal
""".split(",")  # noqa: SIM905 # a list of names reads better as text
]
GOODS = [
    goods.strip()
    for goods in """
two filters, the annual service, 40 litres of paint, a replacement pump, six office chairs, translation of a
contract, storage for March, three night stays, an eye test, window cleaning, a wedding cake, tyre change,
printing of 500 leaflets, a garden design, software licence, repair of the roof, vaccination of a dog,
electricity for the quarter, delivery of gravel, a set of keys
""".split(",")  # noqa: SIM905 # as above
]
CURRENCIES = {"EUR": "€", "USD": "$", "GBP": "£"}
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

# How a date is written; the answer is always ISO 8601. Figures alone are day first.
DATES: Mapping[str, Callable[[date], str]] = {
    "iso": date.isoformat,
    "dotted": lambda day: f"{day.day:02}.{day.month:02}.{day.year}",
    "day first": lambda day: f"{day.day} {MONTHS[day.month - 1]} {day.year}",
    "month first": lambda day: f"{MONTHS[day.month - 1]} {day.day}, {day.year}",
    "short": lambda day: f"{day.day} {MONTHS[day.month - 1][:3]} {day.year}",
}
NUMBERS: tuple[Callable[[random.Random], str], ...] = (
    lambda rng: str(rng.randint(1000, 99999)),
    lambda rng: f"INV-{rng.randint(100, 9999)}",
    lambda rng: f"{rng.randint(2019, 2025)}/{rng.randint(1, 999):03}",
    lambda rng: f"R{rng.randint(10000, 99999)}",
    lambda rng: f"{rng.choice('ABCDKMTX')}-{rng.randint(10, 99)}-{rng.randint(100, 999)}",
)

LAYOUTS = (
    "{vendor}\nInvoice {invoice}\nDate: {day}\n{goods}\nTotal: {sign}{total}",
    "INVOICE No. {invoice}\nFrom: {vendor}\nIssued: {day}\nDue: {later}\nAmount due: {total} {currency}",
    "{vendor} - bill of {day}\nfor {goods}\nNet {net}, tax {tax}, total {total} {currency}\nReference {invoice}",
    "Dear customer,\nplease find our invoice {invoice} of {day} for {goods}. The total is {sign}{total}.\nKind regards, {vendor}",
    "Hello, this is a reminder that invoice {invoice} ({day}, {currency} {total}) is still open. Your team at {vendor}",
    "RECEIPT {vendor} {day}\n{goods} {net}\nVAT {tax}\nTO PAY {currency} {total}\nReceipt no. {invoice}",
    "Thank you for your payment of {sign}{total} to {vendor}. Your invoice {invoice} dated {day} is now settled.",
    "Bill to: customer {customer}\nBilled by: {vendor}\nBill number: {invoice}\nBill date: {day}\nGrand total ({currency}): {total}",
    "{vendor} charged {currency} {total} for {goods}. Invoice {invoice}, {day}. Questions? Call {phone}.",
    "Invoice date {day} | Invoice {invoice} | Customer {customer} | {vendor} | {total} {currency}",
    "On {day} {vendor} sent invoice {invoice} over {total} {currency}, payable by {later}.",
    "{vendor}, tel. {phone}\n\n{goods}\nSubtotal {net}\nTax {tax}\nTOTAL {sign}{total}\n\nInv. {invoice} / {day}",
    "Subject: Invoice {invoice} from {vendor}\nAmount: {sign}{total}\nInvoice date: {day}\nPlease pay by {later}.",
    "Your statement from {vendor}\nPeriod ends {later}\nInvoice {invoice}, made out on {day}\nBalance: {currency} {total}",
    "{day}\nTo customer {customer}: for {goods} we charge {total} {currency} (tax of {tax} included). Invoice {invoice}.\n{vendor}",
    "Order {order} at {vendor} is complete. Invoiced on {day} under {invoice}. You paid {sign}{total}.",
)  # fmt: skip


def bill(rng: random.Random, layout: str) -> dict[str, str]:
    """One bill and the expected JSON."""
    day = date(2021, 1, 1) + timedelta(days=rng.randrange(5 * 365))
    later = day + timedelta(days=rng.choice((7, 14, 30)))
    written = DATES[rng.choice(list(DATES))]
    cents = rng.randrange(500, 250_000)
    tax = cents // 6
    currency = rng.choice(list(CURRENCIES))
    invoice, vendor = rng.choice(NUMBERS)(rng), rng.choice(VENDORS)
    text = layout.format(
        vendor=vendor,
        invoice=invoice,
        day=written(day),
        later=written(later),
        goods=rng.choice(GOODS),
        total=f"{cents / 100:.2f}",
        net=f"{(cents - tax) / 100:.2f}",
        tax=f"{tax / 100:.2f}",
        currency=currency,
        sign=CURRENCIES[currency],
        customer=rng.randint(10000, 99999),
        order=rng.randint(100000, 999999),
        phone=f"0{rng.randint(20, 99)} {rng.randint(100000, 999999)}",
    )
    answer = {
        "vendor": vendor,
        "invoice": invoice,
        "date": day.isoformat(),
        "total": cents / 100,
        "currency": currency,
    }
    return {
        "prompt": f"{INSTRUCTION}\n\n{text}",
        "completion": json.dumps(answer, ensure_ascii=False),
        "answer": json.dumps(answer, ensure_ascii=False),
    }


def files() -> dict[str, str]:
    """Content of each file by its name, one JSON object a line."""
    rng = random.Random(SEED)
    rows = [bill(rng, LAYOUTS[number % len(LAYOUTS)]) for number in range(ROWS)]
    rng.shuffle(rows)
    return {"train.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)}


if __name__ == "__main__":
    for _name, _content in files().items():
        (HERE / _name).write_text(_content, encoding="utf-8")
