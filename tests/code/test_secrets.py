"""Secrets planted in every form leave nothing behind, and ordinary machine-learning code is left alone."""

import ast
import base64
import time

import pytest

from jupyter_mlops.code.secrets import FORMS, Form, Redactor, without_credentials

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEplanted9Xq\nplanted9Xq==\n-----END RSA PRIVATE KEY-----"
BASIC = base64.b64encode(b"bob:planted9Xq").decode()
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.planted9Xq_planted9Xq"
V = "planted9Xq"

# What a user writes, what must not be left of it, and what stands there instead (None: only that the text is gone).
CODE: list[tuple[str, str, str | None]] = [
    (f'password = "{V}"', V, 'password = secret("password")'),
    ("password = 'plain'", "plain", 'password = secret("password")'),
    (f'api_key: str = "{V}"', V, 'api_key: str = secret("api_key")'),
    (f'user, password = "bob", "{V}"', V, 'user, password = "bob", secret("password")'),
    (f'self.client_secret = "{V}"', V, 'self.client_secret = secret("client_secret")'),
    (f'if (token := "{V}"): pass', V, 'if (token := secret("token")): pass'),
    (f'client = Client(host, password="{V}")', V, 'client = Client(host, password=secret("password"))'),
    (f'r = get(url, auth=("bob", "{V}"))', V, 'r = get(url, auth=("bob", secret("password")))'),
    (f'def connect(host, token="{V}"): return 1', V, 'def connect(host, token=secret("token")): return 1'),
    (f'config = {{"password": "{V}", "user": "bob"}}', V, 'config = {"password": secret("password"), "user": "bob"}'),
    (f'config = {{"db": {{"api-key": "{V}"}}}}', V, 'config = {"db": {"api-key": secret("api_key")}}'),
    (f'os.environ["X_TOKEN"] = "{V}"', V, 'os.environ["X_TOKEN"] = secret("X_TOKEN")'),
    (f'os.environ.setdefault("DB_PASSWORD", "{V}")', V, 'os.environ.setdefault("DB_PASSWORD", secret("DB_PASSWORD"))'),
    (f'key = os.getenv("OPENAI_API_KEY", "{V}")', V, 'key = os.getenv("OPENAI_API_KEY", secret("OPENAI_API_KEY"))'),
    (f'key = os.environ.get("MY_SECRET") or "x"; secret_key = other or "{V}"', V, None),
    (f'headers = {{"Authorization": "Bearer {V}"}}', V, 'headers = {"Authorization": (\'Bearer \' + secret("Authorization"))}'),
    (f'headers = {{"Authorization": f"Token {V}{{n}}"}}', V, None),
    (f'headers = [("X-Api-Key", "{V}")]', V, 'headers = [("X-Api-Key", secret("X_Api_Key"))]'),
    (f'h = {{"Authorization": "Basic {BASIC}"}}', BASIC, None),
    (f'engine = create_engine("postgresql://bob:{V}@db.example.org:5432/x")', V, None),
    (f'engine = create_engine(f"postgresql://{{user}}:{V}@{{host}}/x")', V, None),
    (f'pip = "https://{V}a1b2c3d4@git.example.org/x.git"', V, None),
    (f'dsn = "Server=db;Database=x;Uid=bob;Pwd={V};"', V, None),
    (f'c = "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={V}{V}=="', V, None),
    (f'key = """{PEM}"""', "planted9Xq", None),
    ('aws_access_key_id = "AKIAPLANTED9XQ012345"\naws_secret_access_key = "wJalrXUtnPLANTEDbPxRfiCYplanted9XqKEY0000"', "PLANTED", None),
    ('boto3.client("s3", "AKIAPLANTED9XQ012345")', "PLANTED", None),
    (f'jwt = "{JWT}"', "planted9Xq", None),
    (f'token = """{V}\nsecond{V}"""', V, None),
    (f'password = b"{V}"', V, 'password = secret("password").encode()'),
    (f'password = ("plant" "ed9Xq")\nprint("{V}")', V, None),
    (f'password = "plant" + "ed9Xq"\nprint("{V}")', V, None),
    (f'password = "{V}".encode()', V, 'password = secret("password").encode()'),
    (f'password = SecretStr("{V}")', V, 'password = SecretStr(secret("password"))'),
    (f'password = base64.b64decode("{BASIC}")', BASIC, 'password = base64.b64decode(secret("password"))'),
    ('token = "ghp_' + "pL4n" * 9 + '"', "pL4n", 'token = secret("token")'),
    ('login("hf_' + "pLan" * 8 + '")', "pLan", 'login(secret("token"))'),
    ('openai.OpenAI(api_key="sk-proj-' + "pL4n" * 8 + '")', "pL4n", 'openai.OpenAI(api_key=secret("api_key"))'),
    ('wandb.login(key="' + "0a1b2c3d4e" * 4 + '")', "0a1b2c3d4e", 'wandb.login(key=secret("token"))'),
    (f'password = "{V}"  # it is {V}', V, 'password = secret("password")  # it is «secret password»'),
    (f'assert password == "{V}"', V, 'assert password == secret("password")'),
    (f'match x:\n    case "{PEM!r}":\n        pass'.replace("'", ""), "planted9Xq", None),
    (f"%env X_TOKEN={V}\nx = 1", V, "%env X_TOKEN={secret('X_TOKEN')}\nx = 1"),
    (f"%set_env DB_PASSWORD {V}", V, "%set_env DB_PASSWORD {secret('DB_PASSWORD')}"),
    (f"!export X_TOKEN={V} && run", V, "!export X_TOKEN={secret('X_TOKEN')} && run"),
    (f'!curl -H "Authorization: Bearer {V}" http://x', V, None),
    (f"!curl -u bob:{V} http://x", V, "!curl -u bob:{secret('password')} http://x"),
    (f"out = !tool --password {V} --user bob", V, "out = !tool --password {secret('password')} --user bob"),
    (f"!tool --api-key={V}", V, "!tool --api-key={secret('api_key')}"),
    (f"!mysql -u root -p{V} db", V, None),
    (f"!git clone https://bob:{V}@git.example.org/x", V, None),
    (f"%sql postgresql://bob:{V}@h/db", V, None),
    (f"%%bash\nexport PGPASSWORD={V}\npsql", V, None),
    (f'%%time\npassword = "{V}"', V, '%%time\npassword = secret("password")'),
    (f'é = "ü"; password = "{V}"; å = 1', V, 'é = "ü"; password = secret("password"); å = 1'),
    (f'if True: password = "{V}" if x else "other{V}"', V, None),
    (f'this is (not Python: password = "{V}"', V, None),
]


@pytest.mark.parametrize(("source", "planted", "expected"), CODE)
def test_a_secret_in_code_becomes_a_call(source: str, planted: str, expected: str | None) -> None:
    replaced = Redactor().source(source)
    assert planted not in replaced
    assert "secret" in replaced
    assert replaced.count("\n") == source.count("\n")
    if expected is not None:
        assert replaced == expected
    if parses(source):
        assert parses(replaced)


def parses(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def test_lines_stay_where_they_are_and_code_still_runs() -> None:
    source = f'host = "h"\npassword = """{V}\n{V}"""\nurl = f"postgresql://bob:{V}@{{host}}/x"\nwhere = 5\nprint(url)\n'
    replaced = Redactor().source(source)
    assert [line for line in replaced.splitlines() if line.startswith(("where", "host"))] == ['host = "h"', "where = 5"]
    assert replaced.splitlines()[4] == "where = 5"
    asked: list[str] = []
    namespace: dict[str, object] = {"secret": lambda name: asked.append(name) or V}
    exec(replaced, namespace)
    assert namespace["url"] == f"postgresql://bob:{V}@h/x"
    assert asked == ["password", "url_password"]


INNOCENT = [
    "use_cls_token=True",
    "max_tokens=256",
    'key="date"',
    "token = tokens[0]",
    "password_length = 12",
    'df["secret"]',
    'pad_token="<pad>"',
    'author="x"',
    'tokenizer("text")',
    'df.sort_values("a", key=lambda s: s.str.lower())',
    "tokenizer = AutoTokenizer.from_pretrained('gpt2')",
    'token = "hello"',
    'tokens = ["the", "cat", "sat"]',
    'eos_token = "</s>"',
    'mask_token = "[MASK]"',
    'sep_token="[SEP]"',
    "n_tokens = 5",
    "token_count = 5",
    "secret_santa = 3",
    'df = df.rename(columns={"token": "word"})',
    'password = getpass.getpass("Password: ")',
    'api_key = os.environ["OPENAI_API_KEY"]',
    'token = os.getenv("HF_TOKEN")',
    'headers = {"Authorization": f"Bearer {token}"}',
    'primary_key = "customer_id"',
    'foreign_key="order_id"',
    'sort_key = "created_at2"',
    'monkey = "see"',
    'df["password_strength"] = 3',
    'author = "Ann Smith 42"',
    'authors = ["A1b2C3d4"]',
    'commit = "3f786850e387550fdab836ed7e6dc881de23001b"',
    'digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"',
    'run_id = "0f3e2a6c5d4b4a7f9e8d7c6b5a493827"',
    'uid = "123e4567-e89b-12d3-a456-426614174000"',
    'url = "https://example.org/data.csv"',
    'pd.read_csv("https://example.org:8080/a.csv?x=1")',
    "model.fit(X, y, sample_weight=w)",
    'vectorizer = TfidfVectorizer(token_pattern=r"(?u)\\b\\w\\w+\\b")',
    'df.groupby("key")["value"].sum()',
    "use_auth = True",
    'credentials_file = "credentials.json"',
    'credentials = "service-account.json"',
    "assert token is not None",
    'token_type = "bearer"',
    'secret_name = "db"',
    "passes = 3",
    'bypass = "yes"',
    'btype = "lowpass"',
    'compass = "north"',
    "x = np.array([1e-3, 2e5])",
    "!pip install -q tokenizers==0.15",
    "%timeit tokenizer(text)",
    'plt.title("Tokens per second: 256")',
    'print(f"max_tokens: {n}, token: {token}")',
    'df.query("token == 5 and key == 3")',
    'special_tokens = {"pad_token": "[PAD]"}',
    "author_token_ratio = 0.5",
    'next_token = "world1"',
    'password_hash_rounds = "12 rounds"',
    'ssh_host = "h"',
    'pwd = "/home/ann/work"',
    'input("Enter the password")',
    'st.text_input("Password", type="password")',
    'dbutils.secrets.get(scope="a", key="db-key")',
    'secret("password")',
    'password = secret("password")',
]


@pytest.mark.parametrize("source", INNOCENT)
def test_ordinary_code_is_left_alone(source: str) -> None:
    redactor = Redactor()
    assert redactor.source(source) == source
    assert redactor.text(source) == source


INNOCENT_OUTPUTS = [
    "accuracy: 0.93, tokens: 256, max_tokens=512",
    "sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "commit 3f786850e387550fdab836ed7e6dc881de23001b\nAuthor: Ann <ann@example.org>",
    "123e4567-e89b-12d3-a456-426614174000",
    "Token: hello\ntoken: 17\nnext token: world",
    "LogisticRegression(C=0.1, max_iter=1000)",
    "   key  value\n0    1      2\n",
    "Basic statistics of the frame",
    "bearer of good news",
    "https://example.org/a/b?token=5",
    "author: Ann",
    "1234567890 0.000123 nan -inf",
    "password: required",
    "Epoch 1/5: 100%|████| 10/10 [00:01<00:00]",
    "tokenizer_config.json: 100%",
    "sk-learn and scikit-learn 1.7",
    "<td>token</td><td>5</td>",
    "auth: enabled",
    "KeyError: 'token'",
    "TypeError: f() missing 1 required argument: 'password'",
    "iVBORw0KGgoAAAANSUhEUgAA" + "Qk1a9Z+/" * 300,
]


@pytest.mark.parametrize("text", INNOCENT_OUTPUTS)
def test_ordinary_outputs_are_left_alone(text: str) -> None:
    assert Redactor().text(text) == text


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_every_listed_form_is_replaced_in_outputs_and_code(form: Form) -> None:
    redactor = Redactor()
    found = form.pattern.search(form.example)
    assert found is not None
    planted = found["secret"]
    assert planted not in redactor.text(f"see {form.example} there")
    replaced = redactor.source(f"f({form.example!r})")
    assert planted not in replaced
    assert repr(planted)[1:-1] not in replaced
    assert parses(replaced)


OUTPUTS = [
    (V, "«secret password»"),
    (f"'{V}'", "'«secret password»'"),
    (f"<td>{V}</td>", "<td>«secret password»</td>"),
    (f"ValueError: cannot log in as bob with {V}!", "ValueError: cannot log in as bob with «secret password»!"),
    (f"----> 1 connect('bob', '{V}')", "----> 1 connect('bob', '«secret password»')"),
    (base64.b64encode(V.encode()).decode(), "«secret password»"),
    ("OperationalError: postgresql://ann:other8Zz@db/x", "OperationalError: postgresql://ann:«secret url_password»@db/x"),
    ("{'password': 'other8Zz', 'user': 'ann'}", "{'password': '«secret password»', 'user': 'ann'}"),
    ('{"api_key": "other8Zz"}', '{"api_key": "«secret api_key»"}'),
    ("PASSWORD=other8Zz", "PASSWORD=«secret PASSWORD»"),
    ("password = other8Zz and so on", "password = «secret password» and so on"),
]


@pytest.mark.parametrize(("text", "expected"), OUTPUTS)
def test_what_a_cell_prints_is_cleaned(text: str, expected: str) -> None:
    redactor = Redactor()
    redactor.learn_source(f'password = "{V}"')
    assert redactor.text(text) == expected


def test_values_that_need_no_literal_are_known_too() -> None:
    redactor = Redactor(extra_names=["magic_word"])
    redactor.learn_environment({"GITHUB_TOKEN": "from-environment-1", "HOME": "/root", "PWD": "/work", "MAX_TOKENS": "512"})
    redactor.learn_values({"password": "asked-for-2", "df": 3})
    assert redactor.text("from-environment-1 asked-for-2 /root /work 512") == "«secret GITHUB_TOKEN» «secret password» /root /work 512"
    assert redactor.source('magic_word = "open sesame"') == 'magic_word = secret("magic_word")'


def test_two_values_of_one_name_are_told_apart() -> None:
    redactor = Redactor()
    assert redactor.source('password = "first-1"') == 'password = secret("password")'
    assert redactor.source('password = "second-2"') == 'password = secret("password_2")'
    assert redactor.source('again = "first-1"') == 'again = secret("password")'


def test_json_keeps_its_shape() -> None:
    redactor = Redactor()
    assert redactor.json({"params": {"password": "abc-1", "C": 0.1}, "url": ["s3://k:abc-1@h", None], "image/png": "AKIA" + "A" * 16}) == {
        "params": {"password": "«secret password»", "C": 0.1},
        "url": ["s3://k:«secret password»@h", None],
        "image/png": "AKIA" + "A" * 16,
    }


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://bob:pw@git.example.org/x.git", "https://git.example.org/x.git"),
        ("https://token@git.example.org/x.git", "https://git.example.org/x.git"),
        ("git@git.example.org:x.git", "git@git.example.org:x.git"),
        ("https://git.example.org/a@b", "https://git.example.org/a@b"),
    ],
)
def test_a_remote_is_recorded_without_credentials(url: str, expected: str) -> None:
    assert without_credentials(url) == expected


def test_cleaning_grows_with_the_text_only_in_proportion() -> None:
    redactor = Redactor()
    redactor.learn_source(f'password = "{V}"')

    def seconds(text: str) -> float:
        start = time.perf_counter()
        redactor.text(text)
        return time.perf_counter() - start

    for piece in (
        "token: 5, key = 3, password\n",
        "-----BEGIN PRIVATE KEY-----",
        "://a:",
        "a" * 50,
        "eyJ",
        '"password": "',
        "password: a b c ",
    ):
        short = min(seconds(piece * 2000) for _ in range(5))
        long = min(seconds(piece * 20000) for _ in range(2))
        assert long < 40 * short + 0.02, piece
