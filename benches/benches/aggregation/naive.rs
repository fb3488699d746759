//! All of it in one function as anybody would write it for this one Template: where each field
//! is, is known when it is compiled; strings become numbers; one map from 5-tuple to flow.

use std::str;

use benches::workload::TEXTS;
use hashbrown::HashMap;

/// The number of a string, counted from 1; 0 is the empty one.
type Id = u32;

#[derive(Default)]
pub(crate) struct Naive {
    names: HashMap<Box<str>, Id>,
    flows: HashMap<[u8; 13], Flow>,
}

#[derive(Default)]
struct Flow {
    /// In the Template's order.
    texts: [Id; TEXTS],
    start: u32,
    end: u32,
    end_reason: u8,
    service: (u16, [u8; 4]),
    snat: (u16, [u8; 4]),
    /// Type and action of the ingress and egress policy.
    policies: [[u8; 2]; 2],
    /// flowType (56506/137).
    kind: u8,
    /// Of the source's and the destination's Node: forward and reverse.
    sides: [[Counters; 2]; 2],
}

/// Totals and deltas of packets and octets.
type Counters = [u64; 4];

impl Naive {
    /// Takes a message whose only Set, after a possible Template Set, has data.
    pub(crate) fn receive(&mut self, message: &[u8]) {
        let mut sets = &message[16..];
        while let Some((head, rest)) = sets.split_first_chunk::<4>() {
            let length = usize::from(u16::from_be_bytes([head[2], head[3]])) - head.len();
            let (mut records, rest) = rest.split_at(length);
            if u16::from_be_bytes([head[0], head[1]]) >= 256 {
                while !records.is_empty() {
                    records = self.record(records);
                }
            }
            sets = rest;
        }
    }

    fn record<'a>(&mut self, from: &'a [u8]) -> &'a [u8] {
        let mut fields = Fields(from);
        let (start, end, end_reason) = (fields.u32(), fields.u32(), fields.u8());
        let mut key = [0; 13];
        key[..5].copy_from_slice(&fields.take::<5>());
        let forward = fields.counters();
        key[5..].copy_from_slice(&fields.take::<8>());
        let reverse = fields.counters();
        let mut texts = [0; TEXTS];
        let (pods, others) = texts.split_at_mut(6);
        pods.fill_with(|| fields.text(&mut self.names));
        let service_port = fields.u16();
        others[0] = fields.text(&mut self.names);
        let mut policies = [[0; 2]; 2];
        for (policy, names) in policies.iter_mut().zip(others[1..7].chunks_exact_mut(3)) {
            names[0] = fields.text(&mut self.names);
            names[1] = fields.text(&mut self.names);
            policy[0] = fields.u8();
            names[2] = fields.text(&mut self.names);
            policy[1] = fields.u8();
        }
        others[7] = fields.text(&mut self.names);
        let kind = fields.u8();
        others[8..].fill_with(|| fields.text(&mut self.names));
        let snat_port = fields.u16();
        let [_cluster_ip, snat, service] = [fields.take(), fields.take(), fields.take()];

        let flow = self.flows.entry(key).or_default();
        for (known, told) in flow.texts.iter_mut().zip(texts) {
            if *known == 0 {
                *known = told;
            }
        }
        if flow.start == 0 {
            flow.start = start;
        }
        flow.end = flow.end.max(end);
        (flow.end_reason, flow.kind, flow.policies) = (end_reason, kind, policies);
        (flow.service, flow.snat) = ((service_port, service), (snat_port, snat));
        let side = &mut flow.sides[usize::from(texts[0] == 0)];
        for (sum, [packets, octets, more_packets, more_octets]) in
            side.iter_mut().zip([forward, reverse])
        {
            *sum = [packets, octets, sum[2] + more_packets, sum[3] + more_octets];
        }
        fields.0
    }
}

/// What is left of a record.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    #[inline]
    fn slice(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> [u8; N] {
        self.slice(N).try_into().expect("as many as asked for")
    }

    #[inline]
    fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.take())
    }

    #[inline]
    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take())
    }

    #[inline]
    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }

    #[inline]
    fn counters(&mut self) -> Counters {
        [(); 4].map(|()| u64::from_be_bytes(self.take()))
    }

    #[inline]
    fn text(&mut self, names: &mut HashMap<Box<str>, Id>) -> Id {
        let length = match self.u8() {
            0 => return 0,
            255 => usize::from(self.u16()),
            short => usize::from(short),
        };
        let text = str::from_utf8(self.slice(length)).expect("text");
        if let Some(id) = names.get(text) {
            return *id;
        }
        let id = Id::try_from(names.len() + 1).expect("not as many");
        names.insert(text.into(), id);
        id
    }
}
