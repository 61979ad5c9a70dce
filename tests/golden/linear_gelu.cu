// linear_gelu
typedef Axis<0, Spread<TW_SPREAD_m>, TW_STEP_m, TW_EVEN_m> Axis_m;
typedef Axis<1, Spread<TW_SPREAD_n>, TW_STEP_n, TW_EVEN_n> Axis_n;
typedef Axis<2, Spread<TW_SPREAD_k>, TW_STEP_k, TW_EVEN_k> Axis_k;
typedef Axes<Axis_n> Axes_n;
typedef Axes<Axis_m, Axis_n> Axes_m_n;

struct Arguments {
    Fault* fault;
    unsigned launch;
    int m_first, m_last, m_programs;
    int n_first, n_last, n_programs;
    Tensor<const TYPE_T, 2> arg_x;
    Tensor<const TYPE_T, 2> arg_w;
    Tensor<const TYPE_T, 1> arg_b;
    Tensor<TYPE_T, 2> arg_out;
    int dim_M;
    int dim_N;
    int dim_K;
#if TW_MAPS
    TensorMap maps[TW_MAPS];
#endif
};

extern "C" __global__ void __launch_bounds__(TW_THREADS + TW_PRODUCERS, 1)
linear_gelu(const __grid_constant__ Arguments args) {
    // for (m, n) in tile((M, N))
    TW_SHARED(shared);
    (void)shared;
    Ring<Axis_k, TW_BULK_0> k_ring(shared + TW_AT_2);
    #if TW_PRODUCERS
    if (threadIdx.x >= TW_THREADS) {
        few_registers();
        each_program(program, unsigned(args.m_programs) * unsigned(args.n_programs)) {
            // Programs that share operands run close together, so that these stay in the cache.
            const Place2 place = grouped(program, args.m_programs, args.n_programs);
            Axis_m m;
            m.at(args.m_first + place.row * Axis_m::step, args.m_last);
            Axis_n n;
            n.at(args.n_first + place.column * Axis_n::step, args.n_last);
            program /= unsigned(args.m_programs) * unsigned(args.n_programs);
            Axis_k k;
            (void)program;
            const Shared<TYPE_T, Axes<Axis_m, Axis_k>> block_of_x = {reinterpret_cast<TYPE_T*>(shared + TW_AT_0)};
            const Shared<TYPE_T, Axes<Axis_n, Axis_k>> block_of_w = {reinterpret_cast<TYPE_T*>(shared + TW_AT_1)};
            const int k_first = 0, k_last = args.dim_K;
            const auto k_fetch = [&](auto crew, int k_at, int slot, u64* landed) {
                Axis_k k;
                k.at(k_at, k_last);
                stage<TW_VECTOR_0>(crew, landed, true, true, block_of_x.slot(slot), TW_MAP_0, at(k.begin, m.begin), args.arg_x.data, along(args.arg_x.stride[1], k), along(args.arg_x.stride[0], m));
                stage<TW_VECTOR_1>(crew, landed, true, true, block_of_w.slot(slot), TW_MAP_1, at(k.begin, n.begin), args.arg_w.data, along(args.arg_w.stride[1], k), along(args.arg_w.stride[0], n));
            };
            k_ring.produce(k_fetch, k_first, k_last);
        }
        return;
    }
    many_registers();
    #endif
    each_program(program, unsigned(args.m_programs) * unsigned(args.n_programs)) {
        // Programs that share operands run close together, so that these stay in the cache.
        const Place2 place = grouped(program, args.m_programs, args.n_programs);
        Axis_m m;
        m.at(args.m_first + place.row * Axis_m::step, args.m_last);
        Axis_n n;
        n.at(args.n_first + place.column * Axis_n::step, args.n_last);
        program /= unsigned(args.m_programs) * unsigned(args.n_programs);
        Axis_k k;
        (void)program;
        Tile<f32, Axes_m_n> acc;
        each(Axes_m_n, i) {
            const f32 v1 = 0e0f;
            // let mut acc = zeros::<f32> ((m, n));
            acc[i] = v1;
        }
        // for k in tile(K)
        const int k_first = 0, k_last = args.dim_K;
        const Shared<TYPE_T, Axes<Axis_m, Axis_k>> block_of_x = {reinterpret_cast<TYPE_T*>(shared + TW_AT_0)};
        const Shared<TYPE_T, Axes<Axis_n, Axis_k>> block_of_w = {reinterpret_cast<TYPE_T*>(shared + TW_AT_1)};
        const auto k_fetch = [&](auto crew, int k_at, int slot, u64* landed) {
            Axis_k k;
            k.at(k_at, k_last);
            stage<TW_VECTOR_0>(crew, landed, true, true, block_of_x.slot(slot), TW_MAP_0, at(k.begin, m.begin), args.arg_x.data, along(args.arg_x.stride[1], k), along(args.arg_x.stride[0], m));
            stage<TW_VECTOR_1>(crew, landed, true, true, block_of_w.slot(slot), TW_MAP_1, at(k.begin, n.begin), args.arg_w.data, along(args.arg_w.stride[1], k), along(args.arg_w.stride[0], n));
        };
        k_ring.start(k_fetch, k_first, k_last);
        for (int k_at = k_first; k_at < k_last; k_at += Axis_k::step, k_ring.advance()) {
            k.at(k_at, k_last);
            k_ring.turn(k_fetch);
            // acc += dot(x[(m, k)], w[(n, k)], k);
            dot<Axis_m, Axis_n, Axis_k>(acc, block_of_x.slot(k_ring.slot), block_of_w.slot(k_ring.slot));
            Tile<f32, Axes_m_n> v5;
            each(Axes_m_n, i) v5[i] = acc[i];
        }
        k_ring.finish();
        Tile<TYPE_T, Axes_n> v8;
        load<TW_VECTOR_2>(true, v8, args.arg_b.data, cast<TYPE_T>(0.0f), along(args.arg_b.stride[0], n));
        Tile<f32, Axes_m_n> v7;
        each(Axes_m_n, i) v7[i] = acc[i];
        Tile<f32, Axes_n> v9;
        each(Axes_n, i) v9[i] = cast<f32>(v8[i]);
        Tile<TYPE_T, Axes_m_n> v12;
        each(Axes_m_n, i) {
            const f32 v10 = (v7[i] + v9.of<Axes_m_n>(i));
            const f32 v11 = gelu_of(v10);
            v12[i] = cast<TYPE_T>(v11);
        }
        sync_program();
        // out[(m, n)] = gelu(acc + b[n]).cast();
        store<TW_VECTOR_3>(true, v12, args.arg_out.data, along(args.arg_out.stride[0], m), along(args.arg_out.stride[1], n));
        end_program();
    }
}
