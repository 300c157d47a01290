//! A network in which replicas lie behind a real Service, each at an address of
//! its own: one bridge, a network namespace per replica, an EndpointSlice.
//!
//! The API server dials the addresses of a Service's EndpointSlices itself
//! (`--enable-aggregator-routing`), but never loopback ones, so replicas need
//! addresses that aren't. That takes root; [`Network::new`] says where it can't be had.
//!
//! Names carry the process id of the test: what a killed test left behind is
//! cleared by the next one.

use std::collections::VecDeque;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Names of what is made begin so: bridges `pcbPID`, namespaces `pcbPID-N`.
const PREFIX: &str = "pcb";
/// The networks that are tried: 10.77.0.0/24 and those after it.
const FIRST: (u8, u8) = (10, 77);
/// The first replica's last octet; the bridge has 1.
const FIRST_PLACE: u8 = 11;
/// The last octet that a place may have.
const LAST_PLACE: u8 = 254;

/// One network: two at a time don't touch each other.
#[derive(Debug)]
pub struct Network {
    bridge: String,
    /// The third octet.
    third: u8,
    /// Those that it was made with.
    places: Vec<Place>,
    lent: Mutex<Lent>,
}

/// Places that come and go with Pods.
#[derive(Debug, Default)]
struct Lent {
    made: Vec<Place>,
    /// The one that has been free longest is at the front.
    free: VecDeque<Place>,
}

/// A place in the network for one replica.
#[derive(Clone, Debug)]
pub struct Place {
    /// The network namespace.
    pub namespace: String,
    /// Its address.
    pub address: Ipv4Addr,
}

/// Two networks made at once would choose the same addresses.
static MAKING: Mutex<u8> = Mutex::new(0);

impl Network {
    /// A network with so many places.
    ///
    /// # Errors
    /// It can't be made here, and why, as a line for the test's output.
    pub fn new(places: u8) -> Result<Network, String> {
        let mut made = MAKING.lock().map_err(|error| error.to_string())?;
        clear_stale();
        *made += 1;
        let bridge = format!("{PREFIX}{}x{made}", std::process::id());
        let used = said("ip", &["-o", "-4", "address"])?;
        let third = (0..=u8::MAX)
            .find(|third| !used.contains(&format!(" {}.{}.{third}.", FIRST.0, FIRST.1)))
            .ok_or("skipped: no free network 10.77.x.0/24")?;
        // From here on dropping it takes away what was made.
        let mut network = Network { bridge, third, places: Vec::new(), lent: Mutex::default() };
        network.make(places).map_err(|why| format!("skipped: no network namespaces here ({why})"))?;
        Ok(network)
    }

    fn make(&mut self, places: u8) -> Result<(), String> {
        let bridge = self.bridge.clone();
        said("ip", &["link", "add", &bridge, "type", "bridge"])?;
        said("ip", &["address", "add", &format!("{}/24", self.gateway()), "dev", &bridge])?;
        said("ip", &["link", "set", &bridge, "up"])?;
        for number in 0..places {
            let place = self.plan(number);
            // From here on dropping it takes away what was made of this one, too.
            self.places.push(place.clone());
            self.build(&place)?;
        }
        Ok(())
    }

    fn plan(&self, number: u8) -> Place {
        Place { namespace: format!("{}-{number}", self.bridge), address: self.address(FIRST_PLACE + number) }
    }

    fn build(&self, place: &Place) -> Result<(), String> {
        let Place { namespace, address } = place;
        said("ip", &["netns", "add", namespace])?;
        // At most 15 characters, so without the prefix.
        let link = format!("v{}", &namespace[PREFIX.len()..]);
        said("ip", &["link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", namespace])?;
        said("ip", &["link", "set", &link, "master", &self.bridge, "up"])?;
        said("ip", &["-n", namespace, "address", "add", &format!("{address}/24"), "dev", "eth0"])?;
        said("ip", &["-n", namespace, "link", "set", "eth0", "up"])?;
        said("ip", &["-n", namespace, "link", "set", "lo", "up"])?;
        Ok(())
    }

    /// A place for a Pod: the one that has been free longest once enough are there, so that
    /// an address isn't another Pod's at once.
    ///
    /// # Errors
    /// It can't be made, or there are no more addresses.
    pub(crate) fn lend(&self) -> Result<Place, String> {
        /// So many are made before one is used again.
        const FRESH: usize = 24;
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        if lent.made.len() >= FRESH
            && let Some(place) = lent.free.pop_front()
        {
            return Ok(place);
        }
        let number = u8::try_from(self.places.len() + lent.made.len()).unwrap_or(u8::MAX);
        if number > LAST_PLACE - FIRST_PLACE {
            return Err("the network has no more addresses".to_owned());
        }
        let place = self.plan(number);
        lent.made.push(place.clone());
        self.build(&place)?;
        Ok(place)
    }

    /// Takes a place back.
    pub(crate) fn give_back(&self, place: Place) {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).free.push_back(place);
    }

    fn address(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(FIRST.0, FIRST.1, self.third, last)
    }

    /// The address of the host in it, where an API server can listen for the replicas.
    #[must_use]
    pub fn gateway(&self) -> Ipv4Addr {
        self.address(1)
    }

    /// Its places.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The Service, and the EndpointSlice with these of its places.
    #[must_use]
    pub fn service<'a>(namespace: &str, name: &str, port: u16, ready: impl IntoIterator<Item = &'a Place>) -> String {
        let mut manifest = format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: {namespace}}}, \
             spec: {{ports: [{{name: https, port: 443, targetPort: {port}}}]}}}}\n---\n\
             {{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, \
             metadata: {{name: {name}-1, namespace: {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}, \
             ports: [{{name: https, port: {port}, protocol: TCP}}], endpoints: ["
        );
        for place in ready {
            let _ = write!(manifest, "{{addresses: [{}], conditions: {{ready: true}}}},", place.address);
        }
        manifest.push_str("]}\n");
        manifest
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let lent = self.lent.get_mut().unwrap_or_else(PoisonError::into_inner);
        for place in self.places.iter().chain(&lent.made) {
            let _ = said("ip", &["netns", "delete", &place.namespace]);
        }
        let _ = said("ip", &["link", "delete", &self.bridge]);
    }
}

/// Takes away what tests left behind whose process is gone.
fn clear_stale() {
    let gone = |name: &str| {
        let pid =
            name.strip_prefix(PREFIX).and_then(|rest| rest.split('x').next()).filter(|pid| pid.parse::<u32>().is_ok());
        pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
    };
    for line in said("ip", &["netns", "list"]).unwrap_or_default().lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        if gone(name) {
            let _ = said("ip", &["netns", "delete", name]);
        }
    }
    for line in said("ip", &["-o", "link", "show", "type", "bridge"]).unwrap_or_default().lines() {
        let name = line.split(": ").nth(1).unwrap_or_default();
        if gone(name) {
            let _ = said("ip", &["link", "delete", name]);
        }
    }
}

fn said(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}
