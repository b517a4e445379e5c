"""What reaches outside of a workflow, by dotted names: of functions, and of methods below their class.

`module.*` is everything in a module. What a class's call makes is known by the class's name, so that `pathlib.Path.read_text`
is found wherever a Path is used.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping


def _names(module: str, names: str) -> Iterator[str]:
    return (f"{module}.{name}" for name in names.split())


def _path_methods(names: str) -> Iterator[str]:
    return (f"pathlib.{kind}.{name}" for kind in ("Path", "PosixPath", "WindowsPath") for name in names.split())


def _loop_methods(names: str) -> Iterator[str]:
    return _names("asyncio.AbstractEventLoop", names)


_CALLS: Mapping[str, tuple[str, ...]] = {
    "PRD101": (
        *_names("time", "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time process_time_ns"),
        *_names("time", "thread_time thread_time_ns clock_gettime clock_gettime_ns localtime gmtime ctime asctime strftime"),
        *_names("time", "mktime"),
        *_names("datetime.datetime", "now utcnow today fromtimestamp astimezone"),
        *_names("datetime.date", "today fromtimestamp"),
        *_names("email.utils", "localtime formatdate"),
        *_names("django.utils.timezone", "now localtime localdate"),
        *_names("pendulum", "now today tomorrow yesterday"), *_names("arrow", "now utcnow"),
    ),
    "PRD102": (
        *_names("random", "random uniform triangular randint choice choices randrange sample shuffle seed getrandbits"),
        *_names("random", "randbytes betavariate expovariate gammavariate gauss lognormvariate normalvariate"),
        *_names("random", "vonmisesvariate paretovariate weibullvariate binomialvariate Random SystemRandom"),
        *_names("numpy.random", "rand randn randint random random_sample choice shuffle permutation normal uniform"),
        *_names("numpy.random", "seed default_rng RandomState standard_normal integers bytes"),
    ),
    "PRD103": tuple(_names("uuid", "uuid1 uuid4 uuid6 uuid7 uuid8 getnode")),
    "PRD104": ("os.urandom", "os.getrandom", "ssl.RAND_bytes", "secrets.*"),
    "PRD105": (
        *_names("os", "getenv getenvb putenv unsetenv getcwd getcwdb chdir getpid getppid getuid geteuid getgid getlogin"),
        *_names("os", "cpu_count process_cpu_count getloadavg uname umask times get_terminal_size sched_getaffinity nice"),
        *_names("os.path", "expanduser expandvars"),
        *_names("platform", "node platform system release version machine processor uname python_version"),
        *_names("platform", "python_implementation freedesktop_os_release mac_ver win32_ver architecture"),
        *_names("socket", "gethostname getfqdn"),
        *_names("getpass", "getuser"), *_names("locale", "getlocale setlocale getdefaultlocale localeconv"),
        *_names("shutil", "get_terminal_size which"), *_names("sysconfig", "get_path get_paths get_config_var"),
        *_names("resource", "getrusage getrlimit"), *_names("gc", "get_objects get_referrers get_count"),
        *_names("sys", "getrefcount getsizeof"), "psutil.*", "pwd.*", "grp.*", "dotenv.load_dotenv",
    ),
    "PRD106": (
        *_names("builtins", "open"), *_names("io", "open open_code FileIO"), "codecs.open", "aiofiles.open", "anyio.open_file",
        *_names("os", "open close read write fdopen listdir scandir walk fwalk stat lstat fstat access chmod chown link"),
        *_names("os", "symlink readlink mkdir makedirs remove unlink removedirs rename renames replace rmdir truncate"),
        *_names("os", "utime mkfifo pipe fsync sendfile statvfs"),
        *_names("os.path", "exists lexists isfile isdir islink ismount getsize getmtime getatime getctime realpath samefile"),
        "os.path.abspath",
        *_path_methods("read_text read_bytes write_text write_bytes open exists is_file is_dir is_symlink is_mount stat lstat"),
        *_path_methods("iterdir glob rglob walk mkdir rmdir unlink rename replace touch symlink_to hardlink_to chmod owner"),
        *_path_methods("group resolve readlink samefile cwd home expanduser absolute copy move is_socket is_fifo"),
        *_names("glob", "glob iglob"), *_names("shutil", "copy copy2 copyfile copyfileobj copytree rmtree move"),
        *_names("shutil", "disk_usage make_archive unpack_archive chown copymode copystat"),
        *_names("tempfile", "mkstemp mkdtemp mktemp TemporaryFile NamedTemporaryFile SpooledTemporaryFile"),
        *_names("tempfile", "TemporaryDirectory gettempdir"),
        *_names("zipfile", "ZipFile"), *_names("tarfile", "open TarFile"), *_names("gzip", "open GzipFile"),
        *_names("bz2", "open BZ2File"), *_names("lzma", "open LZMAFile"), *_names("shelve", "open"), *_names("dbm", "open"),
        *_names("fileinput", "input FileInput"), *_names("linecache", "getline getlines"), *_names("mmap", "mmap"),
        *_names("importlib.resources", "read_text read_binary open_text open_binary"),
    ),
    "PRD107": (
        *_names("socket", "socket create_connection create_server getaddrinfo gethostbyname gethostbyaddr gethostbyname_ex"),
        *_names("socket", "socketpair fromfd getnameinfo"),
        *_names("asyncio", "open_connection start_server open_unix_connection start_unix_server"),
        *_loop_methods("getaddrinfo getnameinfo create_connection create_server create_unix_connection create_unix_server"),
        *_loop_methods("create_datagram_endpoint connect_accepted_socket start_tls sendfile sock_recv sock_recv_into"),
        *_loop_methods("sock_recvfrom sock_recvfrom_into sock_sendall sock_sendto sock_connect sock_accept sock_sendfile"),
        *_names("urllib.request", "urlopen urlretrieve"), *_names("http.client", "HTTPConnection HTTPSConnection"),
        *_names("requests", "get post put patch delete head options request Session session"),
        *_names("httpx", "get post put patch delete head options request stream Client AsyncClient"),
        *_names("aiohttp", "ClientSession request"), *_names("urllib3", "PoolManager request HTTPConnectionPool"),
        *_names("smtplib", "SMTP SMTP_SSL LMTP"), *_names("ftplib", "FTP FTP_TLS"), *_names("imaplib", "IMAP4 IMAP4_SSL"),
        *_names("poplib", "POP3 POP3_SSL"), *_names("xmlrpc.client", "ServerProxy"), *_names("ssl", "get_server_certificate"),
        *_names("anyio", "connect_tcp connect_unix create_tcp_listener create_udp_socket getaddrinfo"),
        "websockets.connect", "paramiko.SSHClient", "asyncssh.connect", "grpc.insecure_channel", "grpc.secure_channel",
        *_names("boto3", "client resource Session"), *_names("aioboto3", "Session"),
        "sqlite3.connect", "aiosqlite.connect", "psycopg.connect", "psycopg.AsyncConnection.connect", "psycopg2.connect",
        "asyncpg.connect", "asyncpg.create_pool", "pymysql.connect", "asyncmy.connect", "asyncmy.create_pool",
        "MySQLdb.connect", "mysql.connector.connect", "pymongo.MongoClient", "motor.motor_asyncio.AsyncIOMotorClient",
        *_names("redis", "Redis StrictRedis from_url"), *_names("redis.asyncio", "Redis StrictRedis from_url"),
        *_names("sqlalchemy", "create_engine"), *_names("sqlalchemy.ext.asyncio", "create_async_engine"),
        *_names("webbrowser", "open open_new open_new_tab"),
    ),
    "PRD108": (
        *_names("subprocess", "run Popen call check_call check_output getoutput getstatusoutput"),
        *_names("os", "system popen fork forkpty kill killpg wait waitpid execl execle execlp execv execve execvp execvpe"),
        *_names("os", "spawnl spawnle spawnlp spawnv spawnve spawnvp posix_spawn posix_spawnp startfile abort _exit"),
        *_names("asyncio", "create_subprocess_exec create_subprocess_shell"),
        *_loop_methods("subprocess_exec subprocess_shell connect_read_pipe connect_write_pipe"),
        *_names("multiprocessing", "Process Pool Manager Queue Pipe get_context"), *_names("pty", "spawn fork"),
        *_names("anyio", "run_process open_process"),
    ),
    "PRD109": (
        *_names("threading", "Thread Timer Lock RLock Condition Event Semaphore BoundedSemaphore Barrier get_ident"),
        *_names("threading", "current_thread main_thread enumerate active_count get_native_id"),
        *_names("queue", "Queue SimpleQueue LifoQueue PriorityQueue"),
        *_names("concurrent.futures", "ThreadPoolExecutor ProcessPoolExecutor wait as_completed"),
        *_names("asyncio", "to_thread run_coroutine_threadsafe"), *_loop_methods("run_in_executor set_default_executor"),
        *_names("anyio.to_thread", "run_sync"), *_names("anyio.from_thread", "run run_sync start_blocking_portal"),
        *_names("asgiref.sync", "sync_to_async async_to_sync"), "_thread.*",
    ),
    "PRD110": ("time.sleep",),
    "PRD111": (*_names("builtins", "print input breakpoint"), *_names("pprint", "pprint pp"), "getpass.getpass"),
    "PRD204": (
        *_names("asyncio", "run new_event_loop set_event_loop set_event_loop_policy Runner"),
        *_loop_methods("call_soon_threadsafe add_reader remove_reader add_writer remove_writer add_signal_handler"),
        *_loop_methods("remove_signal_handler run_forever run_until_complete stop close set_task_factory"),
        *_loop_methods("set_exception_handler set_debug shutdown_default_executor"),
        *_names("signal", "signal alarm setitimer pause sigwait raise_signal set_wakeup_fd"),
        *_names("anyio", "run"), *_names("atexit", "register"), *_names("select", "select poll epoll"), "selectors.DefaultSelector",
    ),
}  # fmt: skip

_READ: Mapping[str, tuple[str, ...]] = {
    "PRD105": ("os.environ", "os.environb", "sys.argv", "sys.orig_argv", "sys.executable"),
    "PRD111": ("sys.stdin", "sys.stdout", "sys.stderr"),
}
"""Found wherever they are read."""

_CODE_OF_CALL = {name: code for code, names in _CALLS.items() for name in names}
_CODE_OF_READ = {name: code for code, names in _READ.items() for name in names}


def code_of_call(path: str) -> str | None:
    """The rule that a call of this name breaks."""
    return _CODE_OF_CALL.get(path) or _CODE_OF_CALL.get(f"{path.rpartition('.')[0]}.*")


def code_of_read(path: str) -> str | None:
    """The rule that reading this name breaks."""
    return _CODE_OF_READ.get(path)


def is_harmless(path: str, call: ast.Call) -> bool:
    """Whether the arguments make it a pure function: a seed, a time zone, an instant."""
    is_pure = _PURE_WITH.get(path)
    return is_pure is not None and is_pure(call)


def _has_arguments(count: int, keyword: str = "") -> Callable[[ast.Call], bool]:
    return lambda call: (
        len(call.args) >= count
        or any(each.arg in (keyword, None) for each in call.keywords if keyword or each.arg is None)
    )


_PURE_WITH: Mapping[str, Callable[[ast.Call], bool]] = {
    "random.Random": _has_arguments(1, "x"),
    "numpy.random.default_rng": _has_arguments(1, "seed"),
    "numpy.random.RandomState": _has_arguments(1, "seed"),
    "datetime.datetime.fromtimestamp": _has_arguments(2, "tz"),
    "datetime.datetime.astimezone": _has_arguments(1, "tz"),
    "time.strftime": _has_arguments(2),
    "time.gmtime": _has_arguments(1),
    "time.asctime": _has_arguments(1),
    "uuid.uuid8": _has_arguments(1),
    "email.utils.formatdate": _has_arguments(1, "timeval"),
}
