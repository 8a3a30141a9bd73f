//! A few reader threads with a connection each: reads never wait for the writer. The threads are shared fairly by PIM,
//! and within a PIM by client.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::thread::JoinHandle;

use domain::PimId;
use domain::subscriber::Owner;
use fair::{Holder, Places};
use parking_lot::Mutex;
use rusqlite::Connection;
use store::StoreError;
use tokio::sync::{mpsc, oneshot};

use crate::failure::Failure;
use crate::threads::Threads;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// On behalf of the platform, or of an unknown holder.
pub(crate) const PLATFORM: Holder = Holder { pim: u64::MAX, part: 0 };

/// On behalf of a PIM's deliveries.
pub(crate) fn of_pim(pim: PimId) -> Holder {
    Holder { pim: u64::from(pim.0), part: 0 }
}

/// On behalf of a client.
pub(crate) fn of_client(owner: &Owner) -> Holder {
    let mut hasher = DefaultHasher::new();
    owner.client_id.0.hash(&mut hasher);
    Holder { pim: u64::from(owner.pim.0), part: hasher.finish() }
}

pub(crate) struct Readers {
    /// One per thread, so that no read waits in the queue.
    places: Places,
    queue: Option<mpsc::Sender<Read>>,
    threads: Vec<JoinHandle<()>>,
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

impl Readers {
    pub(crate) fn start(threads: &Threads, connections: Vec<Connection>) -> std::io::Result<Readers> {
        let places = Places::new(connections.len() as u64);
        let (queue, reads) = mpsc::channel::<Read>(connections.len().max(1));
        let reads = Arc::new(Mutex::new(reads));
        let mut started = Vec::new();
        for connection in connections {
            let reads = Arc::clone(&reads);
            let work = move || {
                loop {
                    // One thread waits for the next read, the others wait for the lock.
                    let next = reads.lock().blocking_recv();
                    let Some(read) = next else { break };
                    read(&connection);
                }
            };
            started.push(threads.start("store-read", work)?);
        }
        Ok(Readers { places, queue: Some(queue), threads: started })
    }

    /// Runs `work` on one of the threads when it is its holder's turn.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        holder: Holder,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        let permit = self.places.one(holder).await;
        let (answer, answered) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            // Held until the work is done, even if the caller is gone.
            let _permit = permit;
            // The caller is gone: not an error.
            let _ = answer.send(work(connection).map_err(StoreError::from));
        });
        let queue = self.queue.as_ref().ok_or_else(closed)?;
        queue.send(read).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // The thread has reported a panic itself.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn queries_of_one_pim_leave_a_thread_to_another() {
        let connections = (0..4).map(|_| Connection::open_in_memory().unwrap()).collect();
        let readers = Arc::new(Readers::start(&Threads::default(), connections).unwrap());
        // They run until this is dropped.
        let (running, ended) = std::sync::mpsc::channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        for part in 0..20 {
            let (readers, ended) = (Arc::clone(&readers), Arc::clone(&ended));
            tokio::spawn(async move {
                let slow = move |_: &Connection| {
                    _ = ended.lock().recv();
                    Ok(())
                };
                readers.read(Holder { pim: 1, part }, slow).await
            });
        }
        while readers.places.used() < 3 || readers.places.waiting() < 17 {
            tokio::task::yield_now().await;
        }
        let quick = |connection: &Connection| Ok(connection.query_row("SELECT 1", [], |row| row.get::<_, u32>(0))?);
        assert_eq!(readers.read(Holder { pim: 2, part: 0 }, quick).await.unwrap(), 1);
        assert_eq!((readers.places.used(), readers.places.waiting()), (3, 17));
        drop(running);
    }
}
