"""Last labels that names outside the cluster end in, as far as somebody would name a namespace after them.

Not the whole root zone: only words that make sense as a namespace. A word missing here costs its public names the way
round through the cluster while a session to a namespace of this very name is up; a word too many costs nothing but
the routing domain, for which the search list stands in.
"""

_DELEGATED = """
    academy agency app apps auction audio auto bank beer best bet bike bingo bio biz black blog blue book bot box broker
    build builders business buy call camera capital car cards care cars casa case cash cat catering center channel chat
    cheap city claims click clinic cloud club coach codes com community company compare computer consulting contact
    cool coop coupon coupons courses credit data date dating day deal deals delivery design dev diet digital direct
    directory discount docs doctor domains download earth edu education email energy engineering equipment estate events
    exchange expert express fail faith family fan farm fashion feedback film final finance financial fit fitness flights
    food forsale forum foundation free fun fund fyi gallery game games garden gdn gift gifts global gold goo gov
    graphics green group guide health healthcare help here holdings holiday host hosting hot hotel hotels house how inc
    industries info ink insurance int international investments jobs kids kitchen land law legal life lighting limited
    link live loan loans love ltd management map market marketing markets med media memorial men menu mil mobi mobile
    moe money mortgage mov movie museum music name navy net network new news ninja now off one online open org organic
    page partners parts party pay pet phone photo photos pics pictures pid pin place play plus poker post press prime
    pro prod productions prof promo properties property protection pub quest racing radio read recipes red rehab rent
    rentals repair report rest restaurant review reviews room run safe sale save school science search secure security
    select services shop shopping show singles site ski skin smart soccer social software solar solutions space sport
    spot store stream studio study style supplies supply support systems talk tax taxi team tech technology tel theater
    tickets tips today tools top tours town toys trade trading training travel tube uno vacations ventures video vision
    vote voting watch watches weather web webcam website wedding wiki win wine work works world wtf xyz yoga you zero
    zip zone
"""
DELEGATED = frozenset(_DELEGATED.split())
"""Generic top-level domains, as in the root zone or applied for."""

_PRIVATE = "corp example home internal intranet invalid lan local localdomain localhost private test"
PRIVATE = frozenset(_PRIVATE.split())
"""Special-use names (RFC 6761, RFC 6762, RFC 8375) and suffixes that clouds, companies and home routers use."""


def is_used_outside(label: str) -> bool:
    """Say whether names outside the cluster may end in this label; two letters are countries (ISO 3166-1)."""
    return len(label) == 2 or label in DELEGATED or label in PRIVATE
