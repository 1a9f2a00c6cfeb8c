//! What a server is started with.

use std::fmt::Write;
use std::path::Path;

/// The settings in the server's directory that the start appends to `initdb`'s own.
pub(super) const CONFIG: &str = "idem.conf";
/// The data in the server's directory.
pub(super) const DATA: &str = "data";
/// Where all its output goes: the supervisor's choice.
pub(super) const LOG: &str = "output";

/// Starts the server, at first on fresh data. Arguments: the directory of its programs, its own.
///
/// Part of the supervised command, so that `initdb` is not left behind either.
pub(super) const START: &str = r#"
set -e
programs=$1 dir=$2
# Messages in English. Without any locale it does not start on macOS.
export LC_ALL=C
if [ ! -e "$dir/data" ]; then
    # With a time zone `initdb` need not find out which one the machine is in.
    TZ=UTC "$programs/initdb" --no-sync --no-instructions --auth trust --username idem \
        --encoding UTF8 --no-locale --pgdata "$dir/data"
    cat "$dir/idem.conf" >>"$dir/data/postgresql.conf"
fi
exec "$programs/postgres" -D "$dir/data"
"#;

/// An immediate shutdown: the server ends at once, without a checkpoint, and takes its processes and
/// its shared memory with it. Asked again and again, since a shell that is yet to become the server
/// does not hear it. The server gives its processes 5 s itself.
pub(super) const ENDING: &str = r#"
(
    n=0
    while [ "$n" -lt 1000 ] && kill -s CONT "$pid" && kill -s QUIT "$pid"; do
        sleep 0.01
        n=$((n + 1))
    done
    [ "$n" -lt 1000 ] || kill -9 "$pid"
) &
asking=$!
wait "$pid"
kill -9 "$asking"
wait "$asking"
"#;

/// A server that was killed leaves a small segment of System V shared memory: the next start takes
/// it, but there is none. Its id is on the seventh line, after its key.
pub(super) const CLEANING: &str = r#"
segment=$(sed -n '7s/.* //p' "$dir/data/postmaster.pid")
[ -z "$segment" ] || ipcrm -m "$segment"
"#;

/// The configuration file. What comes later wins.
pub(super) fn render(dir: &Path, port: u16, settings: &[(&str, &str)]) -> String {
    let port = port.to_string();
    let dir = dir.to_str().expect("a path in UTF-8");
    let own = [
        ("port", port.as_str()),
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", dir),
        ("fsync", "on"),
        ("max_connections", "200"),
        ("shared_buffers", "32MB"),
        // In the directory: a server that was killed leaves none of it elsewhere.
        ("dynamic_shared_memory_type", "mmap"),
        ("log_line_prefix", "%m [%p] %q%a "),
    ];
    let mut file = String::new();
    for (name, value) in own.iter().chain(settings) {
        writeln!(file, "{name} = '{}'", value.replace('\'', "''")).unwrap();
    }
    file
}
