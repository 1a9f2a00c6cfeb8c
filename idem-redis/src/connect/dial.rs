//! Opens one connection.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, RedisError, aio::MultiplexedConnection,
};

/// How many commands may wait for a connection's writer before those behind
/// them wait to get in line.
const QUEUE: usize = 1024;

/// What is needed to open a connection to any server of an address.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    pub(crate) timeout: Duration,
    #[cfg(feature = "tls")]
    pub(crate) certificates: Option<Certificates>,
}

#[cfg(feature = "tls")]
pub(crate) type Certificates = redis::TlsCertificates;

impl Dialer {
    /// Opens a connection, within the dialer's timeout. It never comes back by
    /// itself, so no command is ever sent twice by it.
    pub(crate) async fn dial(
        &self,
        info: &ConnectionInfo,
    ) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE);
        self.client(info)?
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    fn client(&self, info: &ConnectionInfo) -> Result<Client, RedisError> {
        #[cfg(feature = "tls")]
        if let Some(certificates) = &self.certificates
            && matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. })
        {
            return Client::build_with_tls(info.clone(), certificates.clone());
        }
        Client::open(info.clone())
    }
}
