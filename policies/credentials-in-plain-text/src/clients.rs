//! Programs that take a password in a way of their own, by a flag or by its place.

/// How a program takes a password by a flag whose name doesn't say so.
pub(crate) struct Client {
    pub(crate) programs: &'static [&'static str],
    /// The flag.
    pub(crate) flag: &'static str,
    /// Whether the password follows in the same word (`-psecret`), in the next, or in either.
    pub(crate) form: Form,
    /// Whether the value is `user:password`.
    pub(crate) pair: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Attached,
    Next,
    Either,
}

/// Sources: the manual page of each program.
pub(crate) const CLIENTS: [Client; 10] = [
    Client {
        programs: &[
            "mysql",
            "mysqladmin",
            "mysqldump",
            "mysqlcheck",
            "mysqlimport",
            "mysqlshow",
            "mysqlslap",
            "mysqlsh",
            "mysqlpump",
            "mysqlbinlog",
            "mariadb",
            "mariadb-admin",
            "mariadb-dump",
            "mariadb-check",
        ],
        flag: "-p",
        form: Form::Attached,
        pair: false,
    },
    Client {
        programs: &[
            "mongo",
            "mongosh",
            "mongodump",
            "mongorestore",
            "mongoexport",
            "mongoimport",
            "mongostat",
            "mongotop",
            "cqlsh",
            "nodetool",
            "sshpass",
            "rabbitmqadmin",
            "surreal",
            "neo4j-admin",
            "cypher-shell",
            "kafka-acls",
        ],
        flag: "-p",
        form: Form::Either,
        pair: false,
    },
    Client { programs: &["nodetool"], flag: "-pw", form: Form::Next, pair: false },
    Client { programs: &["redis-cli", "valkey-cli", "keydb-cli"], flag: "-a", form: Form::Next, pair: false },
    Client { programs: &["sqlcmd", "bcp"], flag: "-P", form: Form::Either, pair: false },
    Client {
        programs: &["ldapsearch", "ldapadd", "ldapmodify", "ldapdelete", "ldappasswd", "ldapwhoami"],
        flag: "-w",
        form: Form::Next,
        pair: false,
    },
    Client {
        programs: &["docker", "podman", "buildah", "skopeo", "helm", "oras", "crane"],
        flag: "-p",
        form: Form::Next,
        pair: false,
    },
    Client { programs: &["curl"], flag: "-u", form: Form::Either, pair: true },
    Client { programs: &["curl", "etcdctl"], flag: "--user", form: Form::Either, pair: true },
    Client { programs: &["influx"], flag: "-t", form: Form::Next, pair: false },
];
/// Programs that take a password by its place: how many words stand before it, the program's own included.
pub(crate) const BY_PLACE: [(&[&str], usize); 5] = [
    (&["rabbitmqctl", "add_user"], 3),
    (&["rabbitmqctl", "change_password"], 3),
    (&["mc", "alias", "set"], 6),
    (&["mc", "config", "host", "add"], 7),
    (&["neo4j-admin", "dbms", "set-initial-password"], 3),
];
