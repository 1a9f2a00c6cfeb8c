//! Asks sentinels who the master is.

use futures_util::{StreamExt, stream::FuturesUnordered};
use redis::{
    Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue, RedisError, Value,
    aio::MultiplexedConnection,
};

use super::dial::Dialer;

/// Connects to the master. All sentinels are asked at once, and the first whose
/// master says of itself that it is one is believed: after a failover some
/// sentinels still name the old master, which may be back as a replica.
pub(crate) async fn dial_master(
    dialer: &Dialer,
    sentinels: &[ConnectionInfo],
    name: &str,
    master: &ConnectionInfo,
) -> Result<MultiplexedConnection, RedisError> {
    let mut asked: FuturesUnordered<_> = sentinels
        .iter()
        .map(|sentinel| async move {
            let address = ask(dialer, sentinel, name).await?;
            let info = master.clone().set_addr(at(master.addr(), address));
            let mut connection = dialer.dial(&info).await?;
            within(dialer, is_master(&mut connection, &info)).await?;
            Ok(connection)
        })
        .collect();
    let mut why = RedisError::from((ErrorKind::EmptySentinelList, "there are no sentinels"));
    while let Some(answer) = asked.next().await {
        match answer {
            Ok(connection) => return Ok(connection),
            Err(error) => why = error,
        }
    }
    Err(why)
}

async fn ask(
    dialer: &Dialer,
    sentinel: &ConnectionInfo,
    name: &str,
) -> Result<(String, u16), RedisError> {
    let mut connection = dialer.dial(sentinel).await?;
    let mut question = Cmd::new();
    question
        .arg("SENTINEL")
        .arg("GET-MASTER-ADDR-BY-NAME")
        .arg(name);
    let answer = within(dialer, connection.send_packed_command(&question)).await?;
    let known: Option<(String, u16)> = FromRedisValue::from_redis_value(answer.extract_error()?)?;
    known.ok_or_else(|| {
        let what = format!(
            "the sentinel at {} knows no master `{name}`",
            sentinel.addr()
        );
        RedisError::from((
            ErrorKind::MasterNameNotFoundBySentinel,
            "no such master",
            what,
        ))
    })
}

async fn is_master(
    connection: &mut MultiplexedConnection,
    info: &ConnectionInfo,
) -> Result<(), RedisError> {
    let mut question = Cmd::new();
    question.arg("ROLE");
    let answer = connection.send_packed_command(&question).await?;
    let role = match answer.extract_error()? {
        Value::Array(answer) => answer.into_iter().next(),
        _ => None,
    };
    let role = role.map(String::from_redis_value).transpose()?;
    if role.as_deref() == Some("master") {
        Ok(())
    } else {
        let what = format!("the sentinels' master {} is no master now", info.addr());
        Err(RedisError::from((ErrorKind::Client, "not a master", what)))
    }
}

async fn within<T>(
    dialer: &Dialer,
    answer: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    match tokio::time::timeout(dialer.timeout, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

/// The same kind of address, elsewhere.
pub(crate) fn at(like: &ConnectionAddr, (host, port): (String, u16)) -> ConnectionAddr {
    match like {
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host, port),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use idem_servers::Replicated;
    use redis::IntoConnectionInfo;

    use super::*;

    #[tokio::test]
    async fn a_replica_is_not_taken_for_the_master() {
        let servers = Replicated::start(1, false).await;
        let dialer = Dialer {
            timeout: Duration::from_secs(5),
            #[cfg(feature = "tls")]
            certificates: None,
        };
        for (server, is) in [(&servers.master, true), (&servers.replicas[0], false)] {
            let info = server.url().as_str().into_connection_info().unwrap();
            let mut connection = dialer.dial(&info).await.unwrap();
            let answer = is_master(&mut connection, &info).await;
            assert_eq!(answer.is_ok(), is, "{answer:?}");
        }
    }
}
